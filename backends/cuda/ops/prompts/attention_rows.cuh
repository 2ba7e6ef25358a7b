// attention_rows.cuh — the online softmax of the kernels that attend in tiles of keys. A warp has
// 16 rows and a lane parts of two of them, in the fragments that tile_maps.h describes.
#pragma once

#include "backends/cuda/ops/attention_partials.cuh"
#include "backends/cuda/ops/prompts/tile_maps.h"

namespace ropewalk::cuda {

// One instruction. Below 2^-126 it is 0, where exp2f() takes three more for a number that no sum of
// weights can see: their max is 1.
__device__ __forceinline__ float power_of_two(float x) {
#if defined(__CUDACC__)
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return exp2f(x);
#endif
}

// A lane's part of its warp's 16 rows: those of score_row().
template <uint32_t kDim>
struct WeightedRows {
  float o[kDim / 8][4];
  float max[2], sum[2];
  float unit;  // of o; 0 before the first key

  // Before the first key.
  __device__ __forceinline__ void clear() {
#pragma unroll
    for (float(&tile)[4] : o)
#pragma unroll
      for (float& value : tile) value = 0.0f;
    max[0] = max[1] = kNoScore;
    sum[0] = sum[1] = unit = 0.0f;
  }
  // What weigh() returned, after a tile that changed the max.
  __device__ __forceinline__ void scale(float2 factor) {
#pragma unroll
    for (float(&tile)[4] : o)
#pragma unroll
      for (uint32_t i = 0; i < 4; ++i) tile[i] *= i < 2 ? factor.x : factor.y;
  }
};

// The first key of a tile, the scale of its scores (above 0, including log2(e)), and the unit of
// its values.
struct TileOfKeys {
  uint32_t first;
  float scale, unit;
};
// Whether some row of the warp may see only a part of the tile.
enum class Seen { all, some };

// The soft cap, where there is one.
template <uint32_t kTiles>
__device__ __forceinline__ void cap(const Attention& op, float scale, float (&scores)[kTiles][4]) {
  if (op.params.soft_cap == 0.0f) return;
  for (float(&tile)[4] : scores)
    for (float& score : tile) score = capped(op, score * scale) / scale;
}

// Turns scores of a tile of 8 kTiles keys into weights: 0 for keys that a row does not see. Returns
// the factors for the lane's two rows of o, because of the new max and the new unit of values.
template <Seen kSeen, uint32_t kTiles, uint32_t kDim>
__device__ __forceinline__ float2 weigh(float (&scores)[kTiles][4], const KeysOfRow (&keys)[2],
                                        const TileOfKeys& at, WeightedRows<kDim>& rows) {
  const uint32_t lane = threadIdx.x % 32;
  uint32_t begin[2], count[2];  // of the tile's keys
#pragma unroll
  for (uint32_t r = 0; r < 2; ++r) {
    begin[r] = max(keys[r].first, at.first) - at.first;
    count[r] = max(keys[r].end, at.first + begin[r]) - (at.first + begin[r]);
  }
  const auto seen = [&](uint32_t n, uint32_t i) {
    return kSeen == Seen::all || score_key(lane, n, i) - begin[i / 2] < count[i / 2];
  };
  // max over the row
  float max[2] = {-INFINITY, -INFINITY};
#pragma unroll
  for (uint32_t n = 0; n < kTiles; ++n)
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i)
      if (seen(n, i)) max[i / 2] = fmaxf(max[i / 2], scores[n][i]);
  // factors of the earlier sums
  float keep[2];
#pragma unroll
  for (uint32_t r = 0; r < 2; ++r) {
    max[r] = fmaxf(rows.max[r], max[r] * at.scale);
    for (uint32_t mask = 1; mask <= 2; mask *= 2)
      max[r] = fmaxf(max[r], __shfl_xor_sync(~0u, max[r], mask));
    keep[r] = power_of_two(rows.max[r] - max[r]);
    rows.max[r] = max[r];
    rows.sum[r] *= keep[r];
  }
  // weights and their sum
#pragma unroll
  for (uint32_t n = 0; n < kTiles; ++n)
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) {
      scores[n][i] = seen(n, i) ? power_of_two(scores[n][i] * at.scale - max[i / 2]) : 0.0f;
      rows.sum[i / 2] += scores[n][i];
    }
  const float in_new_unit = rows.unit / at.unit;
  rows.unit = at.unit;
  return {keep[0] * in_new_unit, keep[1] * in_new_unit};
}

// Register i of the weights of the keys 16k .., as the left operand of a product.
template <uint32_t kTiles>
__device__ __forceinline__ uint32_t weight_register(const float (&weights)[kTiles][4], uint32_t k,
                                                    uint32_t i) {
  const float(&from)[4] = weights[weight_tile(k, i)];
  return bits_of(__floats2half2_rn(from[weight_pair(i)], from[weight_pair(i) + 1]));
}

// Stores those rows of [begin, end) that are among the warp's 16 rows from `first` on. `kHalves` is
// Attention::halves, as a constant: a choice at run time costs the kernels registers.
template <bool kHalves, uint32_t kDim>
__device__ __forceinline__ void store_rows(const Attention& op, uint32_t first, uint32_t begin,
                                           uint32_t end, WeightedRows<kDim>& rows, float* y) {
  const uint32_t lane = threadIdx.x % 32, d = op.keys.head_dim;
#pragma unroll
  for (uint32_t half = 0; half < 2; ++half) {
    for (uint32_t mask = 1; mask <= 2; mask *= 2)
      rows.sum[half] += __shfl_xor_sync(~0u, rows.sum[half], mask);
    const uint32_t r = first + score_row(lane, 2 * half);
    if (r < begin || r >= end) continue;
    const float inverse = rows.unit / rows.sum[half] * (kHalves ? 1.0f / kHalfYScale : 1.0f);
    const uint64_t row = (uint64_t{r} * op.heads + blockIdx.x) * d;
#pragma unroll
    for (uint32_t n = 0; n < kDim / 8; ++n) {
      const uint32_t at = output_dim(lane, n);
      if (at >= d) continue;
      const float2 pair = {rows.o[n][2 * half] * inverse, rows.o[n][2 * half + 1] * inverse};
      if constexpr (kHalves)
        reinterpret_cast<uint32_t*>(y)[(row + at) / 2] = bits_of(__floats2half2_rn(pair.x, pair.y));
      else
        *reinterpret_cast<float2*>(y + row + at) = pair;
    }
  }
}

}  // namespace ropewalk::cuda
