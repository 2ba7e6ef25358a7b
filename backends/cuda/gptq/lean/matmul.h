// lean/matmul.h — the streaming kernels: products of up to 8 rows (lean/matmul.cu) and of 9 to 64
// (lean/wide.cu) with weights of 4 bits in groups of 32 that have small headers (layout.h: Zeros
// other than beside_scales), and their epilogue in the same launch. Stateless.
#pragma once

#include <cuda_runtime_api.h>

#include <optional>

#include "backends/cuda/gptq/lean/shared_layout.h"
#include "backends/cuda/gptq/lean/shares.h"
#include "backends/cuda/gptq/lean/x.h"
#include "backends/cuda/gptq/product.h"
#include "backends/cuda/kernel/async.cuh"
#include "backends/cuda/kernel/launch.cuh"

namespace ropewalk::cuda {

struct
    Target;  // device/target.h, which kernels do not see: a new choice compiles none of them anew

namespace gptq {

// What the GPU copies to shared memory with.
Copies copies_of(const Target& target);
// When a kernel that waits for the one in front of it starts.
Start start_of(const Target& target);

struct LeanMatmul : Product {
  Shares shares{};
  PreparedX prepared{};  // x, where it is not folded; up to 8 rows
  FoldedX folded{};
  PreparedX next{};  // y of gate and up, where the next product reads it
  // From 9 rows on: x as gptq/x_to_f16.h writes it.
  const std::byte* x_f16 = nullptr;
  const float* x_scales = nullptr;
  float* partials = nullptr;
  uint32_t* tile_counters = nullptr;  // (groups of tiles); 0 before and after
  uint32_t rows = 0;                  // of the bucket
  Copies copies{};
  Start start{};
  uint32_t chunks_ahead = 0;  // lean/ring.cuh: of a warp, requested into the second-level cache
  bool lets_next_at_begin = false;  // else when all weights are requested
};

// Floats of a warp in which it assembles a head.
RW_HOST_DEVICE uint32_t head_floats(const Product& op) {
  return op.epilogue == Epilogue::rope_append ? op.append.keys.head_dim : 0;
}

// Floats of a folded x.
RW_HOST_DEVICE uint32_t row_floats(const LeanMatmul& op) {
  return op.folded.from ? op.part[0].layout.rows : 0;
}

// Whether the kernel can read all of its weights.
bool is_lean(const Product& product);

// Without pointers. REQUIRES: up to 8 rows; 4 bits and groups of 32.
LeanMatmul lean_matmul_of(const Product& product, uint32_t rows, const Target& target);

// Whether its x may be folded.
bool can_fold(const LeanMatmul& op, const Target& target);

// From 9 rows on, the rows that a warp multiplies: 16, 32 or 64.
RW_HOST_DEVICE uint32_t wide_rows(uint32_t bucket) {
  return bucket <= 16 ? 16 : bucket <= 32 ? 32 : 64;
}

inline uint64_t partial_floats(const LeanMatmul& op) {
  const uint32_t rows = op.rows <= kLeanMaxRows ? lean_rows(op.rows) : wide_rows(op.rows);
  return segment_count(op.shares) * rows * kTileColumns;
}

// REQUIRES: as matmul() of gptq/matmul.h, and is_lean(). Launch errors are left for
// cudaGetLastError().
void lean_matmul(const LeanMatmul& op, const StepView& step, cudaStream_t stream);

// The same for 9 to 64 rows. Nothing where a slice of x would be too short to be worth it, since
// shared memory is small.
std::optional<LeanMatmul> lean_wide_of(const Product& product, uint32_t rows, const Target& target);
void lean_wide(const LeanMatmul& op, const StepView& step, cudaStream_t stream);

}  // namespace gptq
}  // namespace ropewalk::cuda
