// Quadratic sampling, or smoothing: the further a logit is below the max, the faster it falls. With
// d = logit - max, k = (3 - curve) / 2 and s = (curve - 1) / 2,
//
//   max - k * factor * d^2 + s * factor * d^3
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/abi/sampler.h"

namespace {

using namespace ropewalk::abi;

constexpr std::array kOptions = {
    OptionInfo{.name = "factor",
               .type = OptionType::number,
               .default_value = "0.2",
               .help = "smoothing factor: larger is more certain; 0: off",
               .minimum = 0,
               .maximum = 100},
    OptionInfo{.name = "curve",
               .type = OptionType::number,
               .default_value = "1",
               .help = "smoothing curve: above 1 there is a cubic term for far logits",
               .minimum = 1,
               .maximum = 3},
};

class Quadratic final : public Sampler {
 public:
  explicit Quadratic(const Options& options)
      : square_(options.number("factor") * (3 - options.number("curve")) / 2),
        cube_(options.number("factor") * (options.number("curve") - 1) / 2) {}

  Status apply(Candidates& candidates, const SampleContext&) noexcept override {
    if (square_ == 0 && cube_ == 0) return {};
    const auto all = candidates.all();
    const double max = greatest_logit(candidates);
    candidates.sorted = false;
    constexpr double kMax = std::numeric_limits<float>::max();
    for (Candidate& candidate : all) {
      const double d = candidate.logit - max;
      if (d < -kMax) continue;  // -inf stays
      candidate.logit =
          static_cast<float>(std::max(max - square_ * d * d + cube_ * d * d * d, -kMax));
    }
    return {};
  }
  Status accept(int32_t) noexcept override { return {}; }
  void release() noexcept override { delete this; }

 private:
  double square_, cube_;
};

}  // namespace

const Module ropewalk_module = make_module<Sampler, Quadratic>({
    .name = "quadratic",
    .version = "1.0.0",
    .help = "Lowers logits by their squared distance from the max (smoothing)",
    .source = "oobabooga/text-generation-webui modules/sampler_hijack.py "
              "QuadraticSamplingLogitsWarper",
    .options = kOptions,
});
