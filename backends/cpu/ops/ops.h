// ops.h — the ops as plain structs and functions; core/graph/ops.md says what they mean.
//
// A struct holds what is known when a program is compiled, a Frame what a step brings. Pointers
// point into the device's buffers. Each function divides its work among the pool's threads and
// returns when it is done.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "backends/cpu/kernels.h"
#include "backends/cpu/pack.h"
#include "backends/cpu/pool.h"
#include "core/abi/kv_page.h"
#include "core/abi/operands.h"

namespace ropewalk::cpu {

inline constexpr uint32_t kMaxHeadDim = 512;
inline constexpr uint32_t kMaxAdapterRank = 512;

using abi::Extent;

// Consecutive rows of one sequence.
struct RowBlock {
  uint32_t first, count;
};

struct Frame {
  const abi::Step& step;
  Pool& pool;
  const Kernels& kernels;
  uint32_t pages_per_sequence;
  uint32_t page_tokens;
  float* workspace;  // sized by attention_, matmul_ and low_rank_workspace()
  abi::RopeSizes rope;
  const float* rotations;         // rotation_tables(); unused if no keys are rotated on reading
  std::vector<RowBlock>& blocks;  // room for attention's plan of the step

  uint32_t rows(Extent extent) const {
    return extent == Extent::rows ? step.rows : static_cast<uint32_t>(step.wanted.size());
  }
  uint32_t page(uint32_t sequence, uint32_t position) const {
    return step.page[uint64_t{sequence} * pages_per_sequence + position / page_tokens];
  }
  uint64_t positions() const { return uint64_t{pages_per_sequence} * page_tokens; }
};

struct Embed {
  const std::byte* table;  // packed (V, width)
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
};

struct Matmul {
  const float* x;           // (R, depth)
  const std::byte* weight;  // packed (depth, width)
  const float* bias;        // (width) or null
  float* y;                 // (R, width)
  uint32_t depth, width;
  Extent extent;
  bool x_is_split;  // the op before has left these integers in the workspace
};

struct Rope {
  const float* x;  // (R, heads, head_dim)
  float* y;        // (R, heads, head_dim)
  uint32_t heads, head_dim;
  abi::RopeParams params;
};

// Pages of one layer's keys or values. Inside a page heads follow one another, each a matrix whose
// fast axis is the one of attention's inner loop. For i8 the scales (kv_heads, T) f16 follow.
//
//   keys (kv_heads, head_dim, T)      values (kv_heads, T, head_dim)
struct Cache {
  std::byte* data;
  abi::DType dtype;      // f32, f16, i8
  uint32_t page_tokens;  // T
  uint32_t kv_heads, head_dim;

  uint64_t page_bytes() const {
    return abi::KvPage{dtype, page_tokens, kv_heads, head_dim}.bytes();
  }
};

inline Cache cache_of(const abi::Tensor& cache, std::byte* data) {
  return {data, cache.dtype, cache.dim[1], cache.dim[2], cache.dim[3]};
}

struct KvAppend {
  const float* k;  // (R, kv_heads, head_dim)
  const float* v;  // (R, kv_heads, head_dim)
  Cache keys, values;
};

struct Attention {
  const float* q;        // (R, heads, head_dim)
  const int32_t* order;  // (heads * head_dim) or null
  float* y;              // (R, heads * head_dim)
  Cache keys, values;
  uint32_t heads;
  abi::AttentionParams params;
};

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

struct LowRank {
  const float* x;        // (R, depth)
  const float* y;        // (R, width)
  const uint16_t* a;     // (slots, depth, cap) f16
  const uint16_t* b;     // (slots, cap, stride) f16
  const int32_t* ranks;  // (slots)
  const float* vectors;  // (slots, 2, width) gain and shift; null: none
  float* result;         // (R, width)
  uint32_t depth, width, cap, stride;
  Extent extent;
};

void embed(const Embed& op, const Frame& frame) noexcept;
void rms_norm(const RmsNorm& op, const Frame& frame) noexcept;
void matmul(const Matmul& op, const Frame& frame) noexcept;
void rope(const Rope& op, const Frame& frame) noexcept;
void kv_append(const KvAppend& op, const Frame& frame) noexcept;
void attention(const Attention& op, const Frame& frame) noexcept;
void silu_mul(const GateMul& op, const Frame& frame) noexcept;
void gelu_mul(const GateMul& op, const Frame& frame) noexcept;
void add(const Add& op, const Frame& frame) noexcept;
void permute(const Permute& op, const Frame& frame) noexcept;
void select(const Select& op, const Frame& frame) noexcept;
void low_rank(const LowRank& op, const Frame& frame) noexcept;

// For keys that are rotated on reading: cosines and sines of every position of every sequence in
// the step, computed once and read by all layers. to (S, tables, 2, head_dim / 2,
// Frame::positions()): cosines, then sines.
void rotation_tables(float* to, const Frame& frame) noexcept;

// Floats that attention() needs in Frame::workspace for steps of up to `rows` rows.
uint64_t attention_workspace(const Attention& op, uint32_t rows, uint32_t pages_per_sequence,
                             uint32_t lanes);
// The same for matmul(), and for low_rank() with matrices (depth, cap).
uint64_t matmul_workspace(const abi::Tensor& weight, uint32_t rows, const Kernels& kernels);
// Whether products of one x with both weights split it into the same integers.
bool split_alike(const abi::Tensor& a, const abi::Tensor& b, const Kernels& kernels);
uint64_t low_rank_workspace(uint32_t rows, uint32_t depth, uint32_t cap);

}  // namespace ropewalk::cpu
