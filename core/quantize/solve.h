// solve.h — rounds a matrix column by column so that what it computes changes least: GPTQ.
//
//   code   clamp(round(w / s) + z)                in the order that Factor says
//   error  (w - s (code - z)) / U_kk              passed on: w_j -= error U_kj for those behind,
//                                                 and w_j += w P_kj where there is a P (pull.h)
//
// Rows of W do not depend on each other, so threads take rows. Every weight sees its subtractions
// in the order of the columns, so neither the blocks nor the threads change a bit of the result.
// Source: Frantar et al., GPTQ, 2023; IST-DASLab/gptq.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "core/quantize/factor.h"
#include "core/quantize/settings.h"

namespace ropewalk::quantize {

struct QuantizedMatrix {
  uint8_t bits = 0;
  uint32_t rows = 0, cols = 0;     // outputs N, inputs K, as nn.Linear has them
  uint32_t group_size = 0;         // cols for one group
  std::vector<uint8_t> codes;      // (cols, rows): the codes of input k, as files store them
  std::vector<uint16_t> scales;    // (groups, rows), f16
  std::vector<uint8_t> zeros;      // (groups, rows), z itself
  std::vector<uint32_t> group_of;  // (cols)
  uint32_t clipped_scales = 0;     // too large for f16

  uint32_t groups() const { return (cols + group_size - 1) / group_size; }
  uint32_t columns_of(uint32_t group) const {  // fewer in the last one where they do not fill it
    return std::min(group_size, cols - group * group_size);
  }
  float value(uint32_t row, uint32_t col) const;
  // The same where the f32 value of its scale is known.
  float value(uint32_t row, uint32_t col, float scale) const {
    const int32_t zero = zeros[size_t{group_of[col]} * rows + row];
    return scale * static_cast<float>(int32_t{codes[size_t{col} * rows + row]} - zero);
  }
  // Below 2^-14, where f16 has fewer than 11 bits.
  size_t subnormal_scales() const;
};

// To be filled: groups as stored, or as the factor's order has them.
QuantizedMatrix empty_matrix(uint32_t rows, uint32_t cols, const Settings& settings);
QuantizedMatrix empty_matrix_in(uint32_t rows, const Factor& factor, const Settings& settings);

// `weight` (rows, cols) is overwritten; columns of dead inputs count as 0.
QuantizedMatrix solve(std::span<float> weight, uint32_t rows, const Factor& factor,
                      const std::vector<bool>& dead, const Settings& settings);

// Each weight to its nearest code, without regard to the others; groups as stored.
QuantizedMatrix round_to_nearest(std::span<const float> weight, uint32_t rows, uint32_t cols,
                                 const Settings& settings);

}  // namespace ropewalk::quantize
