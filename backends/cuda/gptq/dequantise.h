// dequantise.h — a GPTQ product of many rows: weights as f16 in slices, x as f16, and what is done
// to the sums that cuBLAS makes of them.
//
// K is counted in whole blocks of 32 here, as the tiles are: what fills a block up is 0 in both, so
// no row or column has to be looked at twice. Stateless.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "backends/cuda/gptq/layout.h"
#include "backends/cuda/step.h"

namespace ropewalk::cuda::gptq {

// Rows of a program from which this way is taken, where there is cuBLAS; below, the tensor-core
// kernel reads the packed weights. A doubt: to be measured on each kind of device.
inline constexpr uint32_t kLeastLongRows = 129;

// Of a slice of weights in f16: small enough to stay in a second-level cache between the two
// kernels.
inline constexpr uint64_t kSliceBytes = uint64_t{16} << 20;

inline uint32_t padded_rows(const Layout& l) { return blocks(l) * kBlockRows; }
// Columns of a slice, whole tiles of them.
inline uint32_t slice_columns(const Layout& l) {
  const uint64_t tile_bytes = uint64_t{padded_rows(l)} * kTileColumns * 2;
  const uint64_t tiles = kSliceBytes / tile_bytes;
  const uint32_t all = column_tiles(l);
  return (tiles < 1 ? 1 : tiles < all ? static_cast<uint32_t>(tiles) : all) * kTileColumns;
}

// A product's places in the workspace, each a multiple of 256 bytes.
struct LongPlaces {
  uint64_t x, scales, slice, end;  // offsets in bytes
};
inline LongPlaces long_places(const Layout& l, uint32_t rows) {
  const auto align = [](uint64_t bytes) { return (bytes + 255) / 256 * 256; };
  LongPlaces places{};
  places.scales = align(uint64_t{rows} * padded_rows(l) * 2);
  places.slice = places.scales + align(uint64_t{rows} * 4);
  places.end = places.slice + align(uint64_t{slice_columns(l)} * padded_rows(l) * 2);
  return places;
}

struct HalfRows {
  const float* x;  // (R, rows of the weight)
  void* halves;    // (rows, padded_rows) f16, rows beyond the step's 0
  float* scales;   // (rows) powers of two
  Layout layout;
  uint32_t rows;
  Extent extent;
};
// halves[r] = x[r] / scales[r] in the order of the tiles.
void half_rows(const HalfRows& op, const StepView& step, cudaStream_t stream);

struct Dequantise {
  const uint32_t* weight;
  void* halves;  // (columns, padded_rows) f16
  Layout layout;
  uint32_t first_tile, tiles;
};
void dequantise(const Dequantise& op, cudaStream_t stream);

struct Finish {
  const float* scales;  // (rows)
  const float* bias;    // (cols) or null
  float* y;             // (R, cols)
  uint32_t cols, rows;
  Extent extent;
};
// y[r][n] = y[r][n] * scales[r] + bias[n]
void finish(const Finish& op, const StepView& step, cudaStream_t stream);

}  // namespace ropewalk::cuda::gptq
