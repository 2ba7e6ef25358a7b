// Dynamic temperature: hot where the model is unsure, cold where it is sure. With the entropy H of
// the N candidates above -inf,
//
//   T = low + (high - low) * (H / ln N) ^ exponent
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>

#include "core/abi/sampler.h"

namespace {

using namespace ropewalk::abi;

constexpr std::array kOptions = {
    OptionInfo{.name = "low",
               .type = OptionType::number,
               .default_value = "0.5",
               .help = "the temperature where one candidate has all the probability",
               .minimum = 0.01,
               .maximum = 100},
    OptionInfo{.name = "high",
               .type = OptionType::number,
               .default_value = "1.5",
               .help = "the temperature where all candidates are equally likely",
               .minimum = 0.01,
               .maximum = 100},
    OptionInfo{.name = "exponent",
               .type = OptionType::number,
               .default_value = "1",
               .help = "of the relative entropy; above 1 the middle is colder",
               .minimum = 0.01,
               .maximum = 10},
};

class DynamicTemperature final : public Sampler {
 public:
  explicit DynamicTemperature(const Options& options)
      : low_(options.number("low")),
        high_(options.number("high")),
        exponent_(options.number("exponent")) {
    if (low_ > high_) throw Failure(StatusCode::invalid_argument, "low is above high");
  }

  Status apply(Candidates& candidates, const SampleContext&) noexcept override {
    const double inverse = 1 / temperature(candidates);
    // Two logits may become equal, and then their order must be that of the ids.
    candidates.sorted = false;
    constexpr double kMax = std::numeric_limits<float>::max();
    for (Candidate& candidate : candidates.all()) {
      const double scaled = std::clamp(candidate.logit * inverse, -kMax, kMax);
      if (candidate.logit >= -kMax) candidate.logit = static_cast<float>(scaled);
    }
    return {};
  }
  Status accept(int32_t) noexcept override { return {}; }
  void release() noexcept override { delete this; }

 private:
  double temperature(const Candidates& candidates) const {
    const auto all = candidates.all();
    const auto finite = std::count_if(all.begin(), all.end(),
                                      [](const Candidate& c) { return c.logit > -INFINITY; });
    if (finite < 2) return low_;
    const double relative =
        entropy(candidates, softmax_scale(candidates)) / std::log(static_cast<double>(finite));
    return low_ + (high_ - low_) * std::pow(std::clamp(relative, 0.0, 1.0), exponent_);
  }

  double low_, high_, exponent_;
};

}  // namespace

const Module ropewalk_module = make_module<Sampler, DynamicTemperature>({
    .name = "dynamic-temperature",
    .version = "1.0.0",
    .help = "A temperature that follows the entropy",
    .source = "oobabooga/text-generation-webui modules/sampler_hijack.py "
              "DynamicTemperatureLogitsWarper",
    .options = kOptions,
});
