#include "core/quantize/range.h"

#include <algorithm>
#include <cmath>

#include "core/checkpoint/weights/finite.h"
#include "core/checkpoint/weights/round.h"

namespace ropewalk::quantize {
namespace {

constexpr float kMaxHalf = 65504;
constexpr float kMinHalf = 0x1p-24f;  // the smallest above 0

struct Bounds {
  float low, high;  // low <= 0 <= high, low < high
};

Bounds bounds_of(std::span<const float> weights, bool symmetric) {
  Bounds bounds{0, 0};
  for (const float weight : weights) {
    bounds.low = std::min(bounds.low, weight);
    bounds.high = std::max(bounds.high, weight);
  }
  if (symmetric) {
    bounds.high = std::max(-bounds.low, bounds.high);
    bounds.low = -bounds.high;
  }
  if (bounds.low == 0 && bounds.high == 0) bounds = {-1, 1};
  return bounds;
}

float value_of_half(uint16_t half) {
  return to_floats(StoredType::f16, std::as_bytes(std::span(&half, 1)))[0];
}

Range range_of(const Bounds& bounds, const Settings& settings) {
  const auto max_code = static_cast<float>(settings.max_code());
  float scale = (bounds.high - bounds.low) / max_code;
  Range range;
  if (settings.symmetric) {
    range.zero = 1 << (settings.bits - 1);
  } else {
    float zero = std::nearbyint(-bounds.low / scale);
    if (settings.zeros == ZeroForm::v1) {
      // v1 has no zero point 0: the scale grows until both ends can be said.
      zero = std::clamp(zero, 1.0f, max_code);
      scale = -bounds.low / zero;
      if (zero < max_code) scale = std::max(scale, bounds.high / (max_code - zero));
    }
    range.zero = static_cast<int32_t>(zero);
  }
  range.overflow = scale > kMaxHalf;
  range.scale_bits = round_to_f16(std::clamp(scale, kMinHalf, kMaxHalf));
  range.scale = settings.as_autogptq ? scale : value_of_half(range.scale_bits);
  return range;
}

double cost_of(const Range& range, std::span<const float> weights,
               std::span<const float> importance, const Settings& settings) {
  double cost = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    const float error = weights[i] - range.value_of(range.code_of(weights[i], settings.max_code()));
    if (settings.search == Search::mse) {
      cost += std::pow(std::abs(static_cast<double>(error)), 2.4);
    } else {
      const double weighted = static_cast<double>(error) / static_cast<double>(importance[i]);
      cost += weighted * weighted;
    }
  }
  return cost;
}

}  // namespace

int32_t Range::code_of(float weight, int32_t max_code) const {
  const float code = std::nearbyint(weight / scale) + static_cast<float>(zero);
  return static_cast<int32_t>(std::clamp(code, 0.0f, static_cast<float>(max_code)));
}

Range find_range(std::span<const float> weights, std::span<const float> importance,
                 const Settings& settings) {
  const Bounds bounds = bounds_of(weights, settings.symmetric);
  Range best = range_of(bounds, settings);
  if (settings.search == Search::none) return best;
  const bool mse = settings.search == Search::mse;
  const int most = mse ? 100 : 110, least = mse ? 21 : 51;  // per cent
  double best_cost = cost_of(best, weights, importance, settings);
  for (int percent = most; percent >= least; --percent) {
    const float factor = static_cast<float>(percent) / 100;
    const Range range = range_of({bounds.low * factor, bounds.high * factor}, settings);
    const double cost = cost_of(range, weights, importance, settings);
    if (cost < best_cost) {
      best_cost = cost;
      best = range;
    }
  }
  return best;
}

}  // namespace ropewalk::quantize
