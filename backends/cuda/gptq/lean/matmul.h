// lean/matmul.h — the streaming kernel: products of up to 8 rows with weights of 4 bits in groups
// of 32 that have small headers (layout.h: Zeros other than beside_scales), and their epilogue in
// the same launch. Stateless.
#pragma once

#include <cuda_runtime_api.h>

#include "backends/cuda/device/target.h"
#include "backends/cuda/gptq/lean/shared_layout.h"
#include "backends/cuda/gptq/lean/shares.h"
#include "backends/cuda/gptq/lean/x.h"
#include "backends/cuda/gptq/product.h"
#include "backends/cuda/kernel/async.cuh"
#include "backends/cuda/kernel/launch.cuh"

namespace ropewalk::cuda::gptq {

// What the GPU copies to shared memory with.
inline Copies copies_of(const Target& target) {
  return target.capability >= 90   ? Copies::bulk
         : target.capability >= 80 ? Copies::async_16
                                   : Copies::none;
}
// When a kernel that waits for the one in front of it starts.
inline Start start_of(const Target& target) {
  const bool early = target.choices.early_start == EarlyStart::where_possible;
  return early && target.capability >= 90 ? Start::early : Start::after;
}

struct LeanMatmul : Product {
  Shares shares{};
  PreparedX prepared{};  // x, where it is not folded
  FoldedX folded{};
  PreparedX next{};  // y of gate and up, where the next product reads it
  float* partials = nullptr;
  uint32_t* tile_counters = nullptr;  // (groups of tiles); 0 before and after
  uint32_t rows = 0;                  // of the bucket
  Copies copies{};
  Start start{};
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

inline uint64_t partial_floats(const LeanMatmul& op) {
  return segment_count(op.shares) * lean_rows(op.rows) * kTileColumns;
}

// REQUIRES: as matmul() of gptq/matmul.h, and is_lean(). Launch errors are left for
// cudaGetLastError().
void lean_matmul(const LeanMatmul& op, const StepView& step, cudaStream_t stream);

}  // namespace ropewalk::cuda::gptq
