// Eta sampling: a min probability that falls with the entropy H.
//
//   keep where p >= min(epsilon, sqrt(epsilon) * e^-H) or p = max p
#include <algorithm>
#include <array>
#include <cmath>

#include "core/abi/sampler.h"

namespace {

using namespace ropewalk::abi;

constexpr std::array kOptions = {
    OptionInfo{.name = "epsilon",
               .type = OptionType::number,
               .default_value = "0.0003",
               .help = "min probability where the model is sure; webui writes 3 for 0.0003",
               .minimum = 0,
               .maximum = 1},
};

class Eta final : public Sampler {
 public:
  explicit Eta(const Options& options) : epsilon_(options.number("epsilon")) {}

  Status apply(Candidates& candidates, const SampleContext&) noexcept override {
    if (epsilon_ == 0) return {};
    const SoftmaxScale scale = softmax_scale(candidates);
    const double share = std::sqrt(epsilon_) * std::exp(-entropy(candidates, scale));
    keep_probable(candidates, scale, std::min(epsilon_, share));
    return {};
  }
  Status accept(int32_t) noexcept override { return {}; }
  void release() noexcept override { delete this; }

 private:
  double epsilon_;
};

}  // namespace

const Module ropewalk_module = make_module<Sampler, Eta>({
    .name = "eta",
    .version = "1.0.0",
    .help = "Drops candidates below a probability that falls with the entropy",
    .source =
        "arXiv 2210.15191; huggingface/transformers generation/logits_process.py EtaLogitsWarper",
    .options = kOptions,
});
