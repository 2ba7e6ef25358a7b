// range.h — the scale and the zero of a group of weights.
#pragma once

#include <cstdint>
#include <span>

#include "core/quantize/settings.h"

namespace ropewalk::quantize {

// A weight is scale * (code - zero). The scale is the value of an f16, because that is what files
// store: what is solved with is what is written. Settings::as_autogptq is the exception.
struct Range {
  uint16_t scale_bits = 0;
  float scale = 0;
  int32_t zero = 0;
  bool overflow = false;  // too large for f16; the scale is then the largest f16

  int32_t code_of(float weight, int32_t max_code) const;
  float value_of(int32_t code) const { return scale * static_cast<float>(code - zero); }
};

// `importance` is U_kk of each weight, used by Search::weighted alone. REQUIRES: equal sizes.
Range find_range(std::span<const float> weights, std::span<const float> importance,
                 const Settings& settings);

}  // namespace ropewalk::quantize
