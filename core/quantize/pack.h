// pack.h — a quantised matrix as the four tensors of a GPTQ file (core/abi/weight.h draws the
// bits).
#pragma once

#include <cstdint>
#include <vector>

#include "core/quantize/solve.h"

namespace ropewalk::quantize {

struct PackedMatrix {
  std::vector<uint32_t> qweight;  // (cols * bits / 32, rows): the codes of an output run down
  std::vector<uint32_t> qzeros;   // (groups, rows * bits / 32)
  std::vector<uint16_t> scales;   // (groups, rows), f16
  std::vector<int32_t> g_idx;     // (cols)
};

// REQUIRES: rows * bits and cols * bits are multiples of 32; with v1 no zero is 0.
PackedMatrix pack(const QuantizedMatrix& matrix, ZeroForm zeros);

}  // namespace ropewalk::quantize
