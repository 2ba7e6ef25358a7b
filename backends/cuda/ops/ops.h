// ops.h — the ops as plain structs and launches; core/graph/ops.md says what they mean.
//
// A struct holds what is known when a program is compiled; a StepView holds the inputs of a step.
// Pointers point into device memory. A launch covers the whole bucket of the program; thread blocks
// of rows beyond the step's return at once. Errors of a launch are left for cudaGetLastError().
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "backends/cuda/gptq/lean/x.h"
#include "backends/cuda/kernel/async.cuh"
#include "backends/cuda/kernel/launch.cuh"
#include "backends/cuda/kernel/step.h"
#include "core/abi/kv_page.h"

namespace ropewalk::cuda {

inline constexpr uint32_t kMaxHeadDim = 256;

struct Launch {
  const StepView& step;
  uint32_t rows;    // the bucket
  uint32_t wanted;  // the bucket of wanted rows
  cudaStream_t stream;

  uint32_t max_rows(Extent extent) const { return extent == Extent::rows ? rows : wanted; }
};

struct Embed {
  const std::byte* table;  // (V, width) as stored
  abi::DType dtype;        // f32, f16, bf16
  float* y;                // (R, width)
  uint32_t width;
  float scale;
};

struct RmsNorm {
  const float* x;        // (R, runs, width)
  const float* weight;   // (width)
  const int32_t* order;  // (width) or null
  float* y;              // (R, runs, width)
  uint32_t runs, width;
  float epsilon;
  Extent extent;
  gptq::PreparedX prepared = {};  // y for the next product; not with several runs
};

struct DenseMatmul {
  const float* x;           // (R, depth)
  const std::byte* weight;  // (width, depth)
  abi::DType dtype;         // f32, f16, bf16
  const float* bias;        // (width) or null
  float* y;                 // (R, width)
  uint32_t depth, width;
  Extent extent;
};

// How dense_stream() runs on a device.
struct DenseStream {
  uint32_t thread_blocks;  // one for each multiprocessor
  Copies copies;
  Start start;
};
inline constexpr uint32_t kMaxStreamRows = 2, kDenseBlock = 256;
// Whether dense_stream() takes a product of so many rows.
bool can_stream(const DenseMatmul& op, uint32_t rows, const DenseStream& stream,
                uint32_t shared_bytes);

struct Rope {
  const float* x;  // (R, heads, head_dim)
  float* y;        // (R, heads, head_dim)
  uint32_t heads, head_dim;
  float scale;
};

// Pages of one layer's keys or values, each (kv_heads, T, head_dim); for i8 the scales
// (kv_heads, T) f16 follow.
struct Cache {
  std::byte* data;
  abi::DType dtype;  // f16, i8
  uint32_t kv_heads, head_dim;
  uint32_t page_shift;  // T = 1 << page_shift
  uint32_t pages;
};

inline Cache cache_of(const abi::Tensor& cache, std::byte* data) {
  return {data,
          cache.dtype,
          cache.dim[2],
          cache.dim[3],
          static_cast<uint32_t>(std::countr_zero(cache.dim[1])),
          cache.dim[0]};
}

struct KvAppend {
  const float* k;  // (R, kv_heads, head_dim)
  const float* v;  // (R, kv_heads, head_dim)
  Cache keys, values;
};

// rope of q and of k, then kv_append of the rotated k.
struct RopeAppend {
  const float* q;    // (R, heads, head_dim)
  float* q_rotated;  // (R, heads, head_dim)
  const float* k;    // (R, kv_heads, head_dim)
  const float* v;    // (R, kv_heads, head_dim)
  Cache keys, values;
  uint32_t heads;
  float scale;
  bool half_queries = false;  // of large-batch products: q_rotated is f16 in the place of f32
};

// y between attention and a product of a prompt, as f16: divided by 2, since rounded weights may
// add up to more than 1, and values may be the largest f16.
inline constexpr float kHalfYScale = 2.0f;

struct Attention {
  const float* q;        // (R, heads, head_dim)
  const int32_t* order;  // (heads * head_dim) or null
  float* y;              // (R, heads * head_dim)
  Cache keys, values;
  uint32_t heads;
  abi::AttentionParams params;
  bool
      after_prompts;  // attention_tiles() or _wgmma() takes the rows of prompts, the other kernel the rest
  uint32_t splits;                // max runs of keys, attention_splits.h
  uint32_t min_keys;              // of a run
  float* partials;                // (rows, heads, splits, head_dim + 2): weighted values, max, sum;
                                  // attention_tiles() with an order: (rows, heads, head_dim)
  gptq::PreparedX prepared = {};  // y for the next product; not with attention_tiles()
  // (rows, thread blocks of a row's heads), 0 before and after; null: a kernel of its own combines
  // the runs.
  uint32_t* counters = nullptr;
  Copies copies = Copies::none;     // attention_ring()
  Start start = Start::after;       // likewise
  bool lets_next_at_begin = false;  // likewise: else when all keys and values are requested
  // q, and y in units of kHalfYScale, are f16 in the place of f32 (large_batch/epilogue.h). With an
  // f16 cache, and not with attention().
  bool halves = false;
};

enum class Activation : uint32_t { silu, gelu };

// silu_mul and gelu_mul.
struct GateMul {
  const float* gate;  // (R, width)
  const float* up;    // (R, width)
  float* y;           // (R, width)
  uint32_t width;
  Extent extent;
};

struct Add {
  const float* a;  // (R, width)
  const float* b;  // (R, width)
  float* y;        // (R, width)
  uint32_t width;
  float scale;
  Extent extent;
};

struct Permute {
  const float* x;        // (R, width)
  const int32_t* order;  // (width)
  float* y;              // (R, width)
  uint32_t width;
  Extent extent;
};

struct Select {
  const float* x;  // (R, width)
  float* y;        // (W, width)
  uint32_t width;
};

inline constexpr uint32_t kMaxAdapterRank = 512;

struct LowRank {
  const float* x;        // (R, depth)
  const float* y;        // (R, width)
  const __half* a;       // (slots, depth, cap)
  const __half* b;       // (slots, cap, stride)
  const int32_t* ranks;  // (slots)
  const float* vectors;  // (slots, 2, width) gain and shift; null: none
  float* result;         // (R, width)
  float* partials;       // (R, splits, cap) of x . A
  uint32_t depth, width, cap, stride;
  uint32_t splits;  // of the depth
  bool row_by_row;  // also with many rows
  Extent extent;
};

void embed(const Embed& op, const Launch& launch);
void rms_norm(const RmsNorm& op, const Launch& launch);
void dense_matmul(const DenseMatmul& op, const Launch& launch);
void dense_stream(const DenseMatmul& op, const DenseStream& stream, const Launch& launch);
void rope(const Rope& op, const Launch& launch);
void kv_append(const KvAppend& op, const Launch& launch);
void rope_append(const RopeAppend& op, const Launch& launch);
void attention(const Attention& op, const Launch& launch);
void attention_split(const Attention& op, const Launch& launch);
void attention_ring(const Attention& op, const Launch& launch);
void attention_combine(const Attention& op, const Launch& launch);
void attention_tiles(const Attention& op, const Launch& launch);
void attention_wgmma(const Attention& op, const Launch& launch);
void silu_mul(const GateMul& op, const Launch& launch);
void gelu_mul(const GateMul& op, const Launch& launch);
void add(const Add& op, const Launch& launch);
void permute(const Permute& op, const Launch& launch);
void select(const Select& op, const Launch& launch);
void low_rank(const LowRank& op, const Launch& launch);

// Parts of K that thread blocks sum on their own: enough to fill a GPU with one row.
inline uint32_t low_rank_splits(uint32_t depth) {
  constexpr uint32_t kDepth = 512, kMost = 16;
  return std::min((depth + kDepth - 1) / kDepth, kMost);
}

// Heads of a group for which attention_split() loads keys and values once: as many as registers
// allow.
inline uint32_t heads_together(uint32_t heads, const Cache& keys) {
  const uint32_t group = heads / keys.kv_heads;
  if (group % 4 == 0 && keys.dtype != abi::DType::i8) return 4;
  return group % 2 == 0 ? 2 : 1;
}

// Whether attention_ring() can read the cache.
bool can_ring(const Cache& keys, Copies copies, uint32_t shared_bytes);

// Whether attention_wgmma() can replace attention_tiles().
bool can_use_wgmma(const Cache& keys, const abi::AttentionParams& params, uint32_t capability,
                   uint32_t shared_bytes);

// Whether the last thread block of `together` heads can combine their runs: not where elements
// change their places across heads, or where a block of K of the next product has elements of
// others.
inline bool last_combines(const Attention& op, uint32_t together) {
  return !op.order && (!op.prepared.x_f16 || together * op.keys.head_dim % gptq::kBlockRows == 0);
}

inline uint64_t attention_partial_floats(uint32_t rows, uint32_t heads, uint32_t head_dim,
                                         uint32_t splits) {
  return uint64_t{rows} * heads * splits * (head_dim + 2);
}

}  // namespace ropewalk::cuda
