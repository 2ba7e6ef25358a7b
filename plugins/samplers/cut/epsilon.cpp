// Epsilon sampling: a fixed min probability.
//
//   keep where p >= epsilon or p = max p
#include <array>

#include "core/abi/sampler.h"

namespace {

using namespace ropewalk::abi;

constexpr std::array kOptions = {
    OptionInfo{.name = "epsilon",
               .type = OptionType::number,
               .default_value = "0.0003",
               .help = "min probability; text-generation-webui writes 3 for 0.0003",
               .minimum = 0,
               .maximum = 1},
};

class Epsilon final : public Sampler {
 public:
  explicit Epsilon(const Options& options) : epsilon_(options.number("epsilon")) {}

  Status apply(Candidates& candidates, const SampleContext&) noexcept override {
    if (epsilon_ == 0) return {};
    keep_probable(candidates, softmax_scale(candidates), epsilon_);
    return {};
  }
  Status accept(int32_t) noexcept override { return {}; }
  void release() noexcept override { delete this; }

 private:
  double epsilon_;
};

}  // namespace

const Module ropewalk_module = make_module<Sampler, Epsilon>({
    .name = "epsilon",
    .version = "1.0.0",
    .help = "Drops candidates below a fixed probability",
    .source = "arXiv 2210.15191; huggingface/transformers generation/logits_process.py "
              "EpsilonLogitsWarper",
    .options = kOptions,
});
