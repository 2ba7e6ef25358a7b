// Top-a: the surer the model, the higher the min probability.
//
//   keep where p >= a * (max p)^2
#include <array>

#include "core/abi/sampler.h"

namespace {

using namespace ropewalk::abi;

constexpr std::array kOptions = {
    OptionInfo{.name = "a",
               .type = OptionType::number,
               .default_value = "0.2",
               .help = "min probability, as a share of the squared max; 0: all",
               .minimum = 0,
               .maximum = 1},
};

class TopA final : public Sampler {
 public:
  explicit TopA(const Options& options) : a_(options.number("a")) {}

  Status apply(Candidates& candidates, const SampleContext&) noexcept override {
    if (a_ == 0) return {};
    const SoftmaxScale scale = softmax_scale(candidates);
    const double max_p = scale.probability(scale.max);
    keep_probable(candidates, scale, a_ * max_p * max_p);
    return {};
  }
  Status accept(int32_t) noexcept override { return {}; }
  void release() noexcept override { delete this; }

 private:
  double a_;
};

}  // namespace

const Module ropewalk_module = make_module<Sampler, TopA>({
    .name = "top-a",
    .version = "1.0.0",
    .help = "Drops candidates below a share of the squared max probability",
    .source = "oobabooga/text-generation-webui modules/sampler_hijack.py TopALogitsWarper; "
              "BlinkDL/RWKV-LM",
    .options = kOptions,
});
