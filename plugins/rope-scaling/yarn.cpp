// YaRN: pairs that rotate often within the trained length M keep their frequency, slow ones are
// interpolated, a straight line lies between; and cosine and sine are scaled.
//
//   inv_freq[i] = lerp(plain[i] / factor, plain[i], keep(beta_fast .. beta_slow))
//       with beta in rotations within M
//   attention_scale = 0.1 ln(factor) + 1, or the quotient of two such with mscale and
//   mscale_all_dim
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>

#include "core/abi/rope_scaling.h"

namespace {

using namespace ropewalk::abi;

constexpr auto kNumber = OptionType::number;
constexpr const char* kTrained = "original_max_position_embeddings";
constexpr std::array kOptions = {
    OptionInfo{"factor", kNumber, nullptr, "how much longer than trained", 1e-3, 1e6},
    OptionInfo{kTrained, OptionType::integer, nullptr,
               "the trained length in tokens; absent: the model's own, else its whole length", 1,
               1 << 24},
    OptionInfo{"beta_fast", kNumber, "32", "rotations within the trained length, kept above", 1e-3,
               1e6},
    OptionInfo{"beta_slow", kNumber, "1", "rotations, interpolated below", 1e-3, 1e6},
    OptionInfo{"truncate", OptionType::boolean, "true", "whether the ramp ends at whole pairs"},
    OptionInfo{"attention_factor", kNumber, nullptr,
               "factor of cosine and sine; absent: by factor and mscale", 1e-3, 1e3},
    OptionInfo{"mscale", kNumber, "0", "numerator's slope, with mscale_all_dim; 0: off", 0, 1e3},
    OptionInfo{"mscale_all_dim", kNumber, "0", "denominator's slope, with mscale; 0: off", 0, 1e3},
};

double attention_scale(const Options& options, double factor) {
  if (options.has("attention_factor")) return options.number("attention_factor");
  const auto slope = [&](double mscale) {
    return factor <= 1 ? 1 : 0.1 * mscale * std::log(factor) + 1;
  };
  const double above = options.number("mscale"), below = options.number("mscale_all_dim");
  return above > 0 && below > 0 ? slope(above) / slope(below) : slope(1);
}

class Yarn final : public RopeScaling {
 public:
  explicit Yarn(const Options& options)
      : factor_(options.number("factor")),
        trained_(options.has(kTrained) ? static_cast<double>(options.integer(kTrained)) : 0),
        beta_fast_(options.number("beta_fast")),
        beta_slow_(options.number("beta_slow")),
        truncate_(options.boolean("truncate")),
        attention_scale_(attention_scale(options, factor_)) {}

  bool varies_with_length() const noexcept override { return false; }
  Status fill(const RopeRequest& request, RopeTable& table) const noexcept override {
    const double original = trained_ > 0 ? trained_ : request.original_max_position;
    const double trained = original > 0 ? original : request.max_position;
    const auto index = [&](double rotations) {
      return request.head_dim * std::log(trained / (rotations * 2 * std::numbers::pi)) /
             (2 * std::log(request.theta));
    };
    const double fast = index(beta_fast_), slow = index(beta_slow_);
    const double low = std::max(truncate_ ? std::floor(fast) : fast, 0.0);
    const double high = std::min(truncate_ ? std::ceil(slow) : slow, request.head_dim - 1.0);
    const double width = high == low ? 0.001 : high - low;
    for (size_t i = 0; i < table.inv_freq.size(); ++i) {
      const double index_of_pair = static_cast<double>(i);
      const double plain = std::pow(request.theta, -2 * index_of_pair / request.head_dim);
      const double keep = 1 - std::clamp((index_of_pair - low) / width, 0.0, 1.0);
      table.inv_freq[i] = std::lerp(plain / factor_, plain, keep);
    }
    table.attention_scale = attention_scale_;
    return {};
  }
  void release() noexcept override { delete this; }

 private:
  double factor_, trained_;  // trained_ 0: not given
  double beta_fast_, beta_slow_;
  bool truncate_;
  double attention_scale_;
};

}  // namespace

const Module ropewalk_module = make_module<RopeScaling, Yarn>({
    .name = "yarn",
    .version = "1.0.0",
    .help = "YaRN: fast pairs as trained, slow ones interpolated, attention sharpened",
    .source = "arXiv 2309.00071; huggingface/transformers modeling_rope_utils.py",
    .options = kOptions,
});
