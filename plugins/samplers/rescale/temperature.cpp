// Temperature: logits divided by T. Below 1 the likely tokens become likelier; 0 keeps the
// likeliest alone.
#include <algorithm>
#include <array>
#include <limits>

#include "core/abi/sampler.h"

namespace {

using namespace ropewalk::abi;

constexpr std::array kOptions = {
    OptionInfo{
        .name = "temperature",
        .type = OptionType::number,
        .default_value = "1",
        .help = "what logits are divided by; 0 keeps the likeliest alone (transformers: an error)",
        .minimum = 0,
        .maximum = 100},
};

// Below this the last bit of an f32 logit would decide, so it is taken for 0.
constexpr float kCold = 1e-6f;

class Temperature final : public Sampler {
 public:
  explicit Temperature(const Options& options)
      : temperature_(static_cast<float>(options.number("temperature"))) {}

  Status apply(Candidates& candidates, const SampleContext&) noexcept override {
    if (temperature_ < kCold) {
      keep_greatest(candidates);
    } else if (temperature_ != 1) {
      // Two logits may become equal, and then their order must be that of the ids.
      candidates.sorted = false;
      divide(candidates, temperature_);
    }
    return {};
  }
  Status accept(int32_t) noexcept override { return {}; }
  void release() noexcept override { delete this; }

 private:
  // Clamped to f32: a low temperature must not turn a large logit into infinity. The divisor is a
  // copy and the bounds are min and max, so that compilers vectorise the loop.
  static void divide(Candidates& candidates, const float divisor) {
    constexpr float kMax = std::numeric_limits<float>::max();
    for (Candidate& candidate : candidates.all()) {
      const float scaled = std::min(std::max(candidate.logit / divisor, -kMax), kMax);
      candidate.logit = candidate.logit < -kMax ? candidate.logit : scaled;
    }
  }

  float temperature_;
};

}  // namespace

const Module ropewalk_module = make_module<Sampler, Temperature>({
    .name = "temperature",
    .version = "1.0.0",
    .help = "Logits divided by a temperature",
    .source = "huggingface/transformers generation/logits_process.py TemperatureLogitsWarper",
    .options = kOptions,
});
