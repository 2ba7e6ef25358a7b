// sums[r][n] = sum over k of x[r][k] * (code[k][n] - zero[n]) * scale[n] of weights of 4 bits in
// groups of 32, for prompts on Hopper: the codes become f16 in registers, and no f16 copy of the
// weights is written. Beside dequantise.cu and cuBLAS; the option large-batch=wgmma chooses it. No
// GPU has run it yet.
//
// The product is transposed, since only the left operand can come from registers: a warpgroup has
// 128 columns as M, 128 rows of x as N. Grid (rows / 128, tiles / 8), neighbours with the same
// weights. Two warpgroups multiply, each warp with a tile of 32 columns of its own; a ninth warp
// requests stages of 64 of K:
//
//   shared memory: | x: stage 0, 1, 2, 3 | weights: stage 0, 1, 2, 3 | barriers |
//     x of a stage:       128 rows of 64, a panel of kernel/wgmma_layout.h, 16 KiB
//     weights of a stage: | warp 0: block, block | warp 1: .. | .. | warp 7: .. |
//
// A lane's codes of a block are 4 columns at 8 consecutive rows (gptq/layout.h). The instruction
// wants a pair of rows at 2t and another at 2t + 8 of each 16, so x comes in that order of K
// (gptq/x_to_f16.h): place 16 s + 8 h + 2 t + e of a block holds its row 8 t + 4 s + 2 h + e.
//
//   product     columns of the tile, by warp       registers of a lane (g = lane / 4)
//   0           0 .. 15                            words 0 and 1: columns g and g + 8
//   1           16 .. 31                           words 2 and 3: columns g + 16 and g + 24
//
// With an end other than `sums`, the epilogue follows in registers: wgmma_epilogue.cuh. Pairs of
// gate and up need the same columns of two weights: warps 0 to 3 have 4 tiles of gate, warps 4 to 7
// the same of up.
//
// Codes of the next block become f16 while the tensor cores multiply the last. A weight is rounded
// once, as by dequantise(): code - zero is exact, its product with the scale is not.
//
// Bottleneck: tensor cores, 1024 clocks a stage of both warpgroups at 4096 operations a clock. A
// scheduler can issue as many instructions meanwhile; its two warps need 237 each.
#include <cuda_fp16.h>

#include "backends/cuda/gptq/large_batch/wgmma_epilogue.cuh"
#include "backends/cuda/gptq/lean/matmul.h"
#include "backends/cuda/gptq/unpack.cuh"
#include "backends/cuda/kernel/mma.cuh"
#include "backends/cuda/kernel/pipeline.cuh"
#include "backends/cuda/kernel/wgmma.cuh"
#include "backends/cuda/ops/device.cuh"

namespace ropewalk::cuda::gptq {
namespace {

constexpr uint32_t kStages = 4, kStageBlocks = 2;
constexpr uint32_t kWarps = kTilesOfBlock, kThreads = (kWarps + 4) * 32;
constexpr uint32_t kXBytes = kRowsOfBlock * kPanelRowBytes;
static_assert(kStageBlocks * kBlockRows == kPanelColumns);

struct Barriers {
  Barrier full[kStages], free[kStages], exchanged;
};

template <Zeros kZeros>
struct Shared {
  static constexpr uint32_t kBlockBytes = small_block_bytes(kZeros);
  static constexpr uint32_t kWarpBytes = kStageBlocks * kBlockBytes;
  static constexpr uint32_t kWeightsAt = kStages * kXBytes;
  static constexpr uint32_t kExchangeAt = kWeightsAt + kStages * kWarps * kWarpBytes;
  static constexpr uint32_t kBarriersAt = kExchangeAt + kWarps * 32 * kExchangeBytes;
  static constexpr uint32_t kBytes = kAtomBytes + kBarriersAt + sizeof(Barriers);

  std::byte* x;
  Barriers& barriers;

  __device__ __forceinline__ Shared()
      : x(dynamic_atoms()), barriers(*reinterpret_cast<Barriers*>(x + kBarriersAt)) {}
  __device__ __forceinline__ std::byte* weights(uint32_t stage, uint32_t warp) const {
    return x + kWeightsAt + (stage * kWarps + warp) * kWarpBytes;
  }
};

// The weights of a warp's tile; null where it has none.
__device__ __forceinline__ const std::byte* weights_of(const WgmmaMatmul& op, uint32_t warp) {
  const WarpTile at = tile_of(op, warp);
  if (at.part == op.parts) return nullptr;
  const TilesOfWeight& part = op.part[at.part];
  return part.weight + (part.first + at.tile) * tile_words(op.layout) * 4;
}

// The ninth warp: one lane requests all stages.
template <Zeros kZeros>
__device__ __forceinline__ void request_all(const WgmmaMatmul& op, const TensorMap& x,
                                            const Shared<kZeros>& shared) {
  if (threadIdx.x % 32 != 0) return;
  const uint32_t all = blocks(op.layout);
  const std::byte* tile[kWarps];
  uint32_t tiles = 0;
#pragma unroll
  for (uint32_t w = 0; w < kWarps; ++w) {
    tile[w] = weights_of(op, w);
    tiles += tile[w] != nullptr;
  }
  Place<kStages> place;
#pragma unroll 1
  for (uint32_t block = 0; block < all; block += kStageBlocks, place.advance()) {
    const uint32_t s = place.stage;
    const uint32_t bytes = min(kStageBlocks, all - block) * Shared<kZeros>::kBlockBytes;
    Barrier& full = shared.barriers.full[s];
    wait_for(shared.barriers.free[s], place.parity ^ 1);
    expect_bytes(full, kXBytes + tiles * bytes);
    copy_box(shared.x + s * kXBytes, x, blockIdx.x * kRowsOfBlock, block * kBlockRows, full);
#pragma unroll
    for (uint32_t w = 0; w < kWarps; ++w)
      if (tile[w])
        copy_part(shared.weights(s, w), tile[w] + uint64_t{block} * Shared<kZeros>::kBlockBytes,
                  bytes, full);
  }
}

// A lane's weights of a block as left operands: [product][step][register].
using Operands = uint32_t[2][2][4];

template <Zeros kZeros>
__device__ __forceinline__ void dequantise_block(const std::byte* block, uint32_t zero,
                                                 Operands& a) {
  const uint32_t lane = threadIdx.x % kLanes, g = lane / 4;
  const uint2 scales = reinterpret_cast<const uint2*>(block)[g];
  const uint4 codes = reinterpret_cast<const uint4*>(block + small_header_bytes(kZeros))[lane];
  const uint32_t words[4] = {codes.x, codes.y, codes.z, codes.w};
  uint32_t zeros = 0;
  if constexpr (kZeros == Zeros::nibbles)
    zeros = reinterpret_cast<const uint16_t*>(block + kSmallScaleBytes)[g];
#pragma unroll
  for (uint32_t j = 0; j < kLaneColumns; ++j) {
    const uint32_t of_column =
        kZeros == Zeros::nibbles ? zero + (zeros >> small_zero_bit(8 * j) & 15u) : zero;
    const __half2 scale =
        pair_of(__byte_perm(j < 2 ? scales.x : scales.y, 0, j % 2 == 0 ? 0x1010 : 0x3232));
    __half2 pair[4];
    unpack<4>(words, j, Zero(of_column), pair);
#pragma unroll
    for (uint32_t step = 0; step < 2; ++step)
#pragma unroll
      for (uint32_t half = 0; half < 2; ++half)
        a[j / 2][step][2 * half + j % 2] = bits_of(__hmul2(pair[left_pair(step, 2 * half)], scale));
  }
}

// Starts the products of block b of a stage whose x is at `x`.
__device__ __forceinline__ void start_block(const Operands& a, uint32_t x, uint32_t b,
                                            WgmmaSums (&sums)[2]) {
  order_products();
#pragma unroll
  for (uint32_t step = 0; step < 2; ++step)
#pragma unroll
    for (uint32_t p = 0; p < 2; ++p)
      start_product<KOfRows::along>(sums[p], a[p][step], along_rows(x, kXBytes, 2 * b + step));
  commit_products();
}

template <Zeros kZeros>
__device__ __forceinline__ void multiply_all(const WgmmaMatmul& op, const Shared<kZeros>& shared,
                                             uint32_t warp, WgmmaSums (&sums)[2]) {
  const uint32_t x = shared_address(shared.x), all = blocks(op.layout);
  Operands even, odd;
  Place<kStages> place;
  uint32_t before = 0;  // the stage of the block in front
#pragma unroll 1
  for (uint32_t block = 0; block < all; block += kStageBlocks, place.advance()) {
    const uint32_t s = place.stage;
    const std::byte* weights = shared.weights(s, warp);
    wait_for(shared.barriers.full[s], place.parity);
    dequantise_block<kZeros>(weights, op.layout.zero, even);
    start_block(even, x + s * kXBytes, 0, sums);
    wait_for_products<1>();
    if (block != 0 && threadIdx.x % 32 == 0) arrive(shared.barriers.free[before]);
    before = s;
    // Behind the last block x is 0; what lies in place of its weights must be numbers.
    dequantise_block<kZeros>(block + 1 < all ? weights + Shared<kZeros>::kBlockBytes : weights,
                             op.layout.zero, odd);
    start_block(odd, x + s * kXBytes, 1, sums);
    wait_for_products<1>();
  }
  wait_for_products<0>();
  settle(sums[0]);
  settle(sums[1]);
}

// Stores the warp's 32 columns, (rows) at a time of one lane each: 8 neighbours of a row together.
__device__ __forceinline__ void store_sums(const WgmmaMatmul& op, uint32_t tile,
                                           const WgmmaSums (&sums)[2]) {
  const uint32_t lane = threadIdx.x % 32, first = blockIdx.x * kRowsOfBlock;
  float* to = op.sums + tile * kTileColumns + lane / 4;
#pragma unroll
  for (uint32_t n = 0; n < kRowsOfBlock / 8; ++n)
#pragma unroll
    for (uint32_t i = 0; i < 2; ++i) {
      const uint32_t r = first + n * 8 + lane % 4 * 2 + i;
      if (r >= op.rows) continue;
#pragma unroll
      for (uint32_t j = 0; j < kLaneColumns; ++j)
        to[r * op.pitch + 8 * j] = sums[j / 2][n][j % 2 * 2 + i];
    }
}

template <Zeros kZeros>
__global__ void __launch_bounds__(kThreads, 1)
    wgmma_kernel(const __grid_constant__ WgmmaMatmul op, const StepView step,
                 const __grid_constant__ TensorMap x) {
  if (blockIdx.x * kRowsOfBlock >= rows_of(step, op.extent)) return;
  const Shared<kZeros> shared;
  if (threadIdx.x == 0) {
    for (uint32_t s = 0; s < kStages; ++s) {
      begin_barrier(shared.barriers.full[s], 1);
      begin_barrier(shared.barriers.free[s], kWarps);
    }
    begin_barrier(shared.barriers.exchanged, kWarps);
    fence_barriers();
  }
  __syncthreads();
  const uint32_t warp = warp_index();
  if (warp >= kWarps) {
    set_registers<Registers::fewer, 40>();
    if (warp == kWarps) request_all<kZeros>(op, x, shared);
    return;
  }
  set_registers<Registers::more, 232>();
  WgmmaSums sums[2];
#pragma unroll
  for (WgmmaSums& product : sums)
#pragma unroll
    for (float(&four)[4] : product)
#pragma unroll
      for (float& sum : four) sum = 0.0f;
  multiply_all<kZeros>(op, shared, warp, sums);
  const WarpTile at = tile_of(op, warp);
  if (op.end == WgmmaEnd::sums) {
    if (at.part != op.parts) store_sums(op, blockIdx.y * kWarps + warp, sums);
    return;
  }
  const Exchange exchange{reinterpret_cast<float4*>(shared.x + Shared<kZeros>::kExchangeAt),
                          shared.barriers.exchanged};
  finish_sums(op, step, blockIdx.x * kRowsOfBlock, at, exchange, sums);
}

template <Zeros kZeros>
void launch(const WgmmaMatmul& op, const StepView& step, cudaStream_t stream) {
  uint32_t tiles = 0;
  for (uint32_t p = 0; p < op.parts; ++p) tiles += op.part[p].count;
  if (op.end == WgmmaEnd::pairs) tiles = divide_up(tiles / 2, kWarps / 2) * kWarps;
  const TensorMap x = tensor_map_of({op.x_f16, op.rows, padded_rows(op.layout), kRowsOfBlock});
  run_kernel_in(wgmma_kernel<kZeros>,
                {dim3(divide_up(op.rows, kRowsOfBlock), divide_up(tiles, kWarps)), kThreads,
                 Shared<kZeros>::kBytes, Start::after, stream},
                op, step, x);
}

}  // namespace

bool can_use_wgmma(const Product& product, uint32_t capability, uint32_t shared_bytes) {
  return capability == 90 && shared_bytes >= Shared<Zeros::nibbles>::kBytes && is_lean(product);
}

// Halves of a head are in different warps of a thread block.
WgmmaEnd wgmma_end_of(const Product& product) {
  if (product.epilogue != Epilogue::rope_append)
    return product.epilogue == Epilogue::gate_mul && product.parts == 2 ? WgmmaEnd::pairs
                                                                        : WgmmaEnd::columns;
  const Cache& keys = product.append.keys;
  const bool has_warps = keys.head_dim == 64 || keys.head_dim == 128 || keys.head_dim == 256;
  return has_warps && keys.dtype == abi::DType::f16 ? WgmmaEnd::heads : WgmmaEnd::sums;
}

void wgmma_matmul(const WgmmaMatmul& op, const StepView& step, cudaStream_t stream) {
  with_zeros(op.layout, [&]<Zeros kZeros>() { launch<kZeros>(op, step, stream); });
}

}  // namespace ropewalk::cuda::gptq
