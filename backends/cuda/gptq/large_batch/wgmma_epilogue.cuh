// wgmma_epilogue.cuh — the epilogue of wgmma.cu's sums, from registers to where the next kernel
// reads them; epilogue.h counts the bytes. A warp has the sums of a column tile and 128 rows, of
// which a lane (g = lane / 4, t = lane % 4) has
//
//   sums[j / 2][n][j % 2 * 2 + i]    column g + 8j, row 8n + 2t + i        j: 4, n: 16, i: 2
//
// Two warps whose columns meet in the epilogue exchange half of their sums through shared memory:
// the lower one finishes the rows of n < 8, the upper one the others. Both have the same lanes, so
// a thread reads what one other thread wrote, 16 bytes at a time, beside what its neighbours read.
//
//   pairs    warp w with gate, w + 4 with up
//   heads    warp w with dimensions below half a head, w + head_dim / 64 with those from it on
//
// What is stored as f16 goes by pairs of columns: lanes g and g ^ 1 give each other two of their
// four columns, the even one stores j = 0 and 1, the odd one j = 2 and 3.
#pragma once

#include "backends/cuda/gptq/large_batch/epilogue.cuh"
#include "backends/cuda/gptq/large_batch/wgmma.h"
#include "backends/cuda/kernel/bulk.cuh"
#include "backends/cuda/kernel/wgmma.cuh"

namespace ropewalk::cuda::gptq {

inline constexpr uint32_t kTilesOfBlock = 8, kRowsOfBlock = 128;
inline constexpr uint32_t kExchanged = 16;  // vectors of a thread
inline constexpr uint32_t kExchangeBytes = kExchanged * sizeof(float4);

// A tile of a part; part == parts: none.
struct WarpTile {
  uint32_t part, tile;
};
__device__ __forceinline__ WarpTile tile_of(const WgmmaMatmul& op, uint32_t warp) {
  if (op.end == WgmmaEnd::pairs) {
    constexpr uint32_t kPairs = kTilesOfBlock / 2;
    const uint32_t tile = blockIdx.y * kPairs + warp % kPairs;
    return {tile < op.part[0].count ? warp / kPairs : op.parts, tile};
  }
  uint32_t tile = blockIdx.y * kTilesOfBlock + warp;
  for (uint32_t p = 0; p < op.parts; ++p) {
    if (tile < op.part[p].count) return {p, tile};
    tile -= op.part[p].count;
  }
  return {op.parts, 0};
}

struct Exchange {
  float4* memory;  // (kExchanged, threads of 8 warps)
  Barrier& barrier;
};

// Half of the rows of a lower and an upper warp: [p * 8 + m] are rows 8 (n + m) .. of product p.
struct BothSums {
  float lower[16][4], upper[16][4];
};

// `distance`: from the lower to the upper warp. REQUIRES: all 8 warps.
__device__ __forceinline__ void exchange_sums(const Exchange& exchange, uint32_t distance,
                                              const WgmmaSums (&sums)[2], BothSums& both) {
  constexpr uint32_t kConsumers = kTilesOfBlock * 32;
  const bool is_lower = (threadIdx.x / 32 & distance) == 0;
  const auto mine = [&](uint32_t k, uint32_t i, bool early) {
    return early ? sums[k / 8][k % 8][i] : sums[k / 8][k % 8 + 8][i];
  };
#pragma unroll
  for (uint32_t k = 0; k < kExchanged; ++k)
    exchange.memory[k * kConsumers + threadIdx.x] = {mine(k, 0, !is_lower), mine(k, 1, !is_lower),
                                                     mine(k, 2, !is_lower), mine(k, 3, !is_lower)};
  __syncwarp();
  if (threadIdx.x % 32 == 0) arrive(exchange.barrier);
  wait_for(exchange.barrier, 0);
#pragma unroll
  for (uint32_t k = 0; k < kExchanged; ++k) {
    const float4 got = exchange.memory[k * kConsumers + (threadIdx.x ^ distance * 32)];
    const float theirs[4] = {got.x, got.y, got.z, got.w};
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) {
      const float kept = mine(k, i, is_lower);
      both.lower[k][i] = is_lower ? kept : theirs[i];
      both.upper[k][i] = is_lower ? theirs[i] : kept;
    }
  }
}

// A lane's four columns of a part.
struct LaneColumns {
  uint32_t first;  // column of j = 0
  uint32_t cols;   // of the part
  float bias[4];

  __device__ __forceinline__ LaneColumns(const Part& part, uint32_t tile)
      : first(tile * kTileColumns + threadIdx.x % 32 / 4), cols(part.layout.cols) {
#pragma unroll
    for (uint32_t j = 0; j < 4; ++j)
      bias[j] = part.bias && column(j) < cols ? part.bias[column(j)] : 0.0f;
  }
  __device__ __forceinline__ uint32_t column(uint32_t j) const { return first + 8 * j; }
};

// Stores the lane's four columns of a row's 32, which begin at `to`, as f16; null: stores nothing.
// `pair` makes one word of two neighbours. REQUIRES: all lanes of the warp.
template <class Pair>
__device__ __forceinline__ void store_pairs(__half* to, XOrder order, const float (&v)[4],
                                            const Pair& pair) {
  const uint32_t g = threadIdx.x % 32 / 4;
  const bool odd = g % 2 == 1;
  const float got[2] = {__shfl_xor_sync(~0u, odd ? v[0] : v[2], 4),
                        __shfl_xor_sync(~0u, odd ? v[1] : v[3], 4)};
  if (!to) return;
#pragma unroll
  for (uint32_t i = 0; i < 2; ++i) {
    const uint32_t column = g / 2 * 2 + 8 * (odd ? 2 + i : i);
    *reinterpret_cast<uint32_t*>(to + place_of(order, column)) =
        odd ? pair(got[i], v[2 + i]) : pair(v[i], got[i]);
  }
}

// Epilogues none, add and gate_mul with `other`.
__device__ __forceinline__ void finish_columns(const WgmmaMatmul& op, uint32_t first, uint32_t rows,
                                               const WarpTile& at, const WgmmaSums (&sums)[2]) {
  const Product& product = op.product;
  const Part& part = product.part[at.part];
  const LaneColumns columns(part, at.tile);
  float* to = product.epilogue == Epilogue::none ? part.y : product.y;
#pragma unroll
  for (uint32_t n = 0; n < 16; ++n)
#pragma unroll
    for (uint32_t i = 0; i < 2; ++i) {
      const uint32_t r = first + 8 * n + threadIdx.x % 4 * 2 + i;
      if (r >= rows) continue;
      const float scale = scale_of(op.x_scales, r);
#pragma unroll
      for (uint32_t j = 0; j < 4; ++j) {
        if (columns.column(j) >= columns.cols) continue;
        const uint64_t place = uint64_t{r} * columns.cols + columns.column(j);
        const float p = sums[j / 2][n][j % 2 * 2 + i] * scale + columns.bias[j];
        to[place] = product.epilogue == Epilogue::none ? p
                    : product.epilogue == Epilogue::add
                        ? product.other[place] + p
                        : activated(product.activation, product.other[place]) * p;
      }
    }
}

// a(gate) * up, into y or as the next product's x.
__device__ __forceinline__ void finish_pairs(const WgmmaMatmul& op, uint32_t first, uint32_t rows,
                                             const WarpTile& at, const BothSums& sums) {
  const Product& product = op.product;
  const LaneColumns gate(product.part[0], at.tile), up(product.part[1], at.tile);
#pragma unroll
  for (uint32_t m = 0; m < 8; ++m)
#pragma unroll
    for (uint32_t i = 0; i < 2; ++i) {
      const uint32_t r = first + 8 * m + threadIdx.x % 4 * 2 + i;
      const float scale = r < rows ? scale_of(op.x_scales, r) : 0.0f;
      float v[4];
#pragma unroll
      for (uint32_t j = 0; j < 4; ++j) {
        const uint32_t k = j / 2 * 8 + m, at_j = j % 2 * 2 + i;
        v[j] = activated(product.activation, sums.lower[k][at_j] * scale + gate.bias[j]) *
               (sums.upper[k][at_j] * scale + up.bias[j]);
        if (gate.column(j) >= gate.cols) v[j] = 0.0f;
      }
      if (op.gated.x_f16) {
        auto* to = reinterpret_cast<__half*>(op.gated.x_f16) + uint64_t{r} * op.gated.width +
                   at.tile * kTileColumns;
        store_pairs(r < rows ? to : nullptr, XOrder::pairs_of_lanes, v, gated_pair);
      } else if (r < rows) {
#pragma unroll
        for (uint32_t j = 0; j < 4; ++j)
          if (gate.column(j) < gate.cols)
            product.y[uint64_t{r} * gate.cols + gate.column(j)] = v[j];
      }
    }
}

// A head's dimensions dim + 8j and half a head further: queries and keys are rotated, keys and
// values go to the cache.
__device__ __forceinline__ void finish_heads(const WgmmaMatmul& op, const StepView& step,
                                             uint32_t first, uint32_t rows, const WarpTile& lower,
                                             const BothSums& sums) {
  const RopeAppend& append = op.product.append;
  const uint32_t d = append.keys.head_dim, half = d / 2;
  const uint32_t head = lower.tile * kTileColumns / d, in_head = lower.tile * kTileColumns % d;
  const LaneColumns low(op.product.part[lower.part], lower.tile),
      high(op.product.part[lower.part], lower.tile + half / kTileColumns);
  const uint32_t dim = in_head + threadIdx.x % 32 / 4;
  const Cache& cache = lower.part == 1 ? append.keys : append.values;
#pragma unroll
  for (uint32_t m = 0; m < 8; ++m)
#pragma unroll
    for (uint32_t i = 0; i < 2; ++i) {
      const uint32_t r = first + 8 * m + threadIdx.x % 4 * 2 + i;
      const bool exists = r < rows;
      const float scale = exists ? scale_of(op.x_scales, r) : 0.0f;
      float v[2][4];
#pragma unroll
      for (uint32_t j = 0; j < 4; ++j) {
        const uint32_t k = j / 2 * 8 + m, at_j = j % 2 * 2 + i;
        float2 pair = {sums.lower[k][at_j] * scale + low.bias[j],
                       sums.upper[k][at_j] * scale + high.bias[j]};
        if (lower.part != 2 && exists)
          pair = rotate_by(__ldg(op.rotations + uint64_t{r} * half + dim + 8 * j), pair);
        v[0][j] = pair.x;
        v[1][j] = pair.y;
      }
      const uint64_t query = (uint64_t{r} * append.heads + head) * d;
      if (lower.part == 0 && !append.half_queries) {
        float* to = append.q_rotated + query + dim;
#pragma unroll
        for (uint32_t j = 0; j < 4 && exists; ++j) {
          to[8 * j] = v[0][j];
          to[8 * j + half] = v[1][j];
        }
        continue;
      }
      __half* to = nullptr;
      if (exists && lower.part == 0)
        to = reinterpret_cast<__half*>(append.q_rotated) + query + in_head;
      else if (exists)
        to = reinterpret_cast<__half*>(
                 entry_at(cache, step, step.sequence[r], head, step.position[r]).elements) +
             in_head;
      const auto pair_of = [](float a, float b) { return bits_of(__floats2half2_rn(a, b)); };
      store_pairs(to, XOrder::natural, v[0], pair_of);
      store_pairs(to ? to + half : nullptr, XOrder::natural, v[1], pair_of);
    }
}

// `first` is the first row of the thread block. REQUIRES: all 8 warps.
__device__ __forceinline__ void finish_sums(const WgmmaMatmul& op, const StepView& step,
                                            uint32_t first, const WarpTile& at,
                                            const Exchange& exchange, const WgmmaSums (&sums)[2]) {
  const uint32_t rows = rows_of(step, op.extent);
  if (op.end == WgmmaEnd::columns) {
    if (at.part != op.parts) finish_columns(op, first, rows, at, sums);
    return;
  }
  const uint32_t distance =
      op.end == WgmmaEnd::pairs ? kTilesOfBlock / 2 : op.product.append.keys.head_dim / 64;
  BothSums both;
  exchange_sums(exchange, distance, sums, both);
  if (at.part == op.parts) return;
  const bool is_lower = (threadIdx.x / 32 & distance) == 0;
  if (!is_lower) first += kRowsOfBlock / 2;
  if (op.end == WgmmaEnd::pairs) return finish_pairs(op, first, rows, at, both);
  finish_heads(op, step, first, rows, {at.part, at.tile - (is_lower ? 0 : distance)}, both);
}

}  // namespace ropewalk::cuda::gptq
