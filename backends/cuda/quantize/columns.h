// columns.h — kernels that round a matrix, for the extension "quantize.v1". Launch errors are left
// for cudaGetLastError().
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace ropewalk::cuda {

// See RangeRules in core/abi/quantize.h.
struct RoundingRules {
  uint32_t bits, group_size;
  bool symmetric, zero_from_one, search;
};

// W (rows, n) and what it becomes: codes (n, rows), scales and zeros (groups, rows).
struct Rounding {
  const float* weight;
  uint8_t* codes;
  uint16_t* scales;
  uint8_t* zeros;
  uint32_t* clipped;  // is added to
  RoundingRules rules;
  uint32_t rows, n;
};

// Each weight to its nearest code; groups as stored.
void round_nearest(const Rounding& op, cudaStream_t stream);

// By GPTQ.
struct ColumnRounding {
  Rounding of;
  const double* h;        // (n, n): a column with 0 on its diagonal counts as 0
  const float* upper;     // U (n, n)
  const uint32_t* order;  // column of each place
  const uint32_t* group;  // of each place
  bool fixed;             // the groups' ranges are those of the untouched weights
  float* sorted;          // (rows, n): room for W in the solver's order
  float* passed;          // (rows, kColumnsAtOnce)
  float* importance;      // (2, n): of each place, of each column
};
inline constexpr uint32_t kColumnsAtOnce = 128;
void round_columns(const ColumnRounding& op, cudaStream_t stream);

// lost (rows, n) = weight - what its codes stand for. `group_of` (n): of each column; nullptr: as
// stored.
void find_lost(const Rounding& op, const uint32_t* group_of, float* lost, cudaStream_t stream);

}  // namespace ropewalk::cuda
