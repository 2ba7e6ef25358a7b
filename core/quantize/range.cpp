#include "core/quantize/range.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "core/checkpoint/weights/round.h"
#include "core/quantize/kernels.h"

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

// Of a positive, finite half: its bits as those of a float have an exponent that is 112 too small.
float value_of_half(uint16_t half) { return std::bit_cast<float>(uint32_t{half} << 13) * 0x1p112f; }

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

// Sum of |error|^2.4.
double cost_of(const Range& range, std::span<const float> weights, int32_t max_code) {
  double cost = 0;
  for (const float weight : weights) {
    const float error = weight - range.value_of(range.code_of(weight, max_code));
    cost += std::pow(std::abs(static_cast<double>(error)), 2.4);
  }
  return cost;
}

// The bounds as they are, and times 100 to 21 or 110 to 51 per cent; the first of equal ones.
class Trials {
 public:
  Trials(const Bounds& bounds, const Settings& settings) : settings_(settings) {
    const bool mse = settings.search == Search::mse;
    const int most = mse ? 100 : 110, least = mse ? 21 : 51;
    add(bounds);
    for (int percent = most; percent >= least; --percent) {
      const float factor = static_cast<float>(percent) / 100;
      add({bounds.low * factor, bounds.high * factor});
    }
  }

  const Range& best(std::span<const float> weights, std::span<const float> importance) const {
    std::array<double, kMost> costs;
    if (settings_.search == Search::mse) {
      for (size_t i = 0; i < count_; ++i)
        costs[i] = cost_of(ranges_[i], weights, settings_.max_code());
    } else {
      find_costs(weights, importance, costs.data());
    }
    return ranges_[static_cast<size_t>(std::min_element(costs.begin(), costs.begin() + count_) -
                                       costs.begin())];
  }

 private:
  static constexpr size_t kMost = 81, kWeighted = 61;

  void add(const Bounds& bounds) { ranges_[count_++] = range_of(bounds, settings_); }

  void find_costs(std::span<const float> weights, std::span<const float> importance,
                  double* costs) const {
    static_assert(kWeighted <= kRanges && kRanges <= kMost);
    std::array<float, kRanges> scales, zeros;
    for (size_t i = 0; i < kRanges; ++i) {
      const Range& range = ranges_[std::min(i, count_ - 1)];
      scales[i] = range.scale;
      zeros[i] = static_cast<float>(range.zero);
    }
    kernels().cost({.weights = weights.data(),
                    .importance = importance.data(),
                    .scales = scales.data(),
                    .zeros = zeros.data(),
                    .max_code = static_cast<float>(settings_.max_code()),
                    .count = static_cast<uint32_t>(weights.size()),
                    .costs = costs});
  }

  const Settings& settings_;
  std::array<Range, kMost> ranges_;
  size_t count_ = 0;
};

}  // namespace

int32_t Range::code_of(float weight, int32_t max_code) const {
  const float code = std::nearbyint(weight / scale) + static_cast<float>(zero);
  return static_cast<int32_t>(std::clamp(code, 0.0f, static_cast<float>(max_code)));
}

Range find_range(std::span<const float> weights, std::span<const float> importance,
                 const Settings& settings) {
  const Bounds bounds = bounds_of(weights, settings.symmetric);
  if (settings.search == Search::none) return range_of(bounds, settings);
  return Trials(bounds, settings).best(weights, importance);
}

}  // namespace ropewalk::quantize
