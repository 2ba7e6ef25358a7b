// Llama 3.1's scaling: pairs whose wavelength is short against the trained length M keep their
// frequency, long ones are interpolated, those between are blended by rotations within M.
//
//   rotations = M * plain[i] / 2 pi
//   rotations > high_freq_factor: plain;  rotations < low_freq_factor: plain / factor;
//   else the blend of both
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string>

#include "core/abi/rope_scaling.h"

namespace {

using namespace ropewalk::abi;

constexpr auto kNumber = OptionType::number;
constexpr const char* kTrained = "original_max_position_embeddings";
constexpr std::array kOptions = {
    OptionInfo{"factor", kNumber, nullptr, "what slow pairs are divided by", 1e-3, 1e6},
    OptionInfo{"low_freq_factor", kNumber, "1", "rotations, interpolated below", 1e-3, 1e6},
    OptionInfo{"high_freq_factor", kNumber, "4", "rotations, kept above", 1e-3, 1e6},
    OptionInfo{kTrained, OptionType::integer, nullptr,
               "the trained length in tokens; absent: the model's own", 1, 1 << 24},
};

class Llama3 final : public RopeScaling {
 public:
  explicit Llama3(const Options& options)
      : factor_(options.number("factor")),
        low_(options.number("low_freq_factor")),
        high_(options.number("high_freq_factor")),
        trained_(options.has(kTrained) ? static_cast<double>(options.integer(kTrained)) : 0) {
    if (high_ <= low_)
      throw Failure(StatusCode::invalid_argument,
                    "high_freq_factor is " + std::string(options.text("high_freq_factor")) +
                        ", expected more than low_freq_factor, " +
                        std::string(options.text("low_freq_factor")));
  }

  bool varies_with_length() const noexcept override { return false; }
  Status fill(const RopeRequest& request, RopeTable& table) const noexcept override {
    const double trained = trained_ > 0 ? trained_ : request.original_max_position;
    if (trained == 0)
      return fail(StatusCode::invalid_argument,
                  "llama3: original_max_position_embeddings is missing");
    for (size_t i = 0; i < table.inv_freq.size(); ++i) {
      const double plain =
          std::pow(request.theta, -2.0 * static_cast<double>(i) / request.head_dim);
      const double rotations = trained * plain / (2 * std::numbers::pi);
      const double keep = std::clamp((rotations - low_) / (high_ - low_), 0.0, 1.0);
      table.inv_freq[i] = std::lerp(plain / factor_, plain, keep);
    }
    return {};
  }
  void release() noexcept override { delete this; }

 private:
  double factor_, low_, high_;
  double trained_;  // 0: not given
};

}  // namespace

const Module ropewalk_module = make_module<RopeScaling, Llama3>({
    .name = "llama3",
    .version = "1.0.0",
    .help = "Llama 3.1's scaling: fast pairs as trained, slow ones interpolated",
    .source = "huggingface/transformers modeling_rope_utils.py _compute_llama3_parameters",
    .options = kOptions,
});
