// NTK by parts: pairs that rotate often within the trained length M keep their frequency, pairs
// that rotate less than once are interpolated, and those between are blended by way of NTK scaling.
// The ends of each blend are numbers of rotations within M.
//
//   v[i]        = lerp(interpolated[i], ntk[i], keep(1.25 .. 0.75 rotations))
//   inv_freq[i] = lerp(v[i], plain[i], keep(16 .. 2 rotations))
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "core/abi/rope_scaling.h"

namespace {

using namespace ropewalk::abi;

constexpr const char* kTrained = "original_max_position_embeddings";
constexpr std::array kOptions = {
    OptionInfo{.name = "factor",
               .type = OptionType::number,
               .default_value = nullptr,
               .help = "how much longer than trained; absent: by the model's two lengths",
               .minimum = 1e-3,
               .maximum = 1e6},
    OptionInfo{
        .name = kTrained,
        .type = OptionType::integer,
        .default_value = nullptr,
        .help = "the trained length in tokens; absent: the model's own, else its whole length",
        .minimum = 1,
        .maximum = 1 << 24},
};

// 1 for pairs that rotate `fast` times or more in `trained` tokens, 0 for those that rotate `slow`
// times or less, linear between.
struct Keep {
  Keep(double fast, double slow, double trained, const RopeRequest& request) {
    const auto index = [&](double rotations) {
      return request.head_dim * std::log(trained / (rotations * 2 * std::numbers::pi)) /
             (2 * std::log(request.theta));
    };
    low = std::max(std::floor(index(fast)), 0.0);
    const double high = std::min(std::ceil(index(slow)), request.head_dim - 1.0);
    width = high == low ? 0.001 : high - low;
  }
  double at(size_t i) const {
    return 1 - std::clamp((static_cast<double>(i) - low) / width, 0.0, 1.0);
  }
  double low, width;
};

class NtkByParts final : public RopeScaling {
 public:
  explicit NtkByParts(const Options& options)
      : factor_(options.has("factor") ? options.number("factor") : 0),
        trained_(options.has(kTrained) ? static_cast<double>(options.integer(kTrained)) : 0) {}

  bool varies_with_length() const noexcept override { return false; }
  Status fill(const RopeRequest& request, RopeTable& table) const noexcept override {
    double trained = trained_ > 0 ? trained_ : request.original_max_position;
    if (trained == 0 && factor_ == 0)
      return fail(StatusCode::invalid_argument,
                  "ntk-by-parts: factor and original_max_position_embeddings are both missing");
    if (trained == 0) trained = request.max_position;
    const double factor = factor_ > 0 ? factor_ : request.max_position / trained;
    const double d = request.head_dim;
    const double ntk_theta = request.theta * std::pow(factor, d / (d - 2));
    const Keep keep_ntk(1.25, 0.75, trained, request), keep_plain(16, 2, trained, request);
    for (size_t i = 0; i < table.inv_freq.size(); ++i) {
      const double exponent = -2.0 * static_cast<double>(i) / d;
      const double plain = std::pow(request.theta, exponent);
      const double slowed =
          std::lerp(plain / factor, std::pow(ntk_theta, exponent), keep_ntk.at(i));
      table.inv_freq[i] = std::lerp(slowed, plain, keep_plain.at(i));
    }
    return {};
  }
  void release() noexcept override { delete this; }

 private:
  double factor_, trained_;  // 0: not given
};

}  // namespace

const Module ropewalk_module = make_module<RopeScaling, NtkByParts>({
    .name = "ntk-by-parts",
    .version = "1.0.0",
    .help = "NTK by parts (pntk): fast pairs as trained, slow ones interpolated",
    .source = "jquesnelle/yarn scaled_rope/LlamaPartNTKScaledRotaryEmbedding.py",
    .options = kOptions,
});
