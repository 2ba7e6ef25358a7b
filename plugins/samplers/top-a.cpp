// Top-a: the surer the model, the more it takes to stay.
//
//   keep where p >= a * (greatest p)^2
#include <array>

#include "core/abi/sampler.h"

namespace {

using namespace ropewalk::abi;

constexpr std::array kOptions = {
    OptionInfo{.name = "a",
               .type = OptionType::number,
               .default_value = "0.2",
               .help = "least probability, as a share of the greatest one's square; 0: all",
               .minimum = 0,
               .maximum = 1},
};

class TopA final : public Sampler {
 public:
  explicit TopA(const Options& options) : a_(options.number("a")) {}

  Status apply(Candidates& candidates, const SampleContext&) noexcept override {
    if (a_ == 0) return {};
    const SoftmaxScale scale = softmax_scale(candidates);
    const double greatest = scale.probability(scale.max);
    keep_probable(candidates, scale, a_ * greatest * greatest);
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
    .help = "Drops candidates below a share of the greatest probability squared",
    .source = "oobabooga/text-generation-webui modules/sampler_hijack.py TopALogitsWarper; "
              "BlinkDL/RWKV-LM",
    .options = kOptions,
});
