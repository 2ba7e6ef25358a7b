// W[n][k] = (code - zero) * scale as f16. Bottleneck: memory.
#include <cuda_fp16.h>

#include "backends/cuda/gptq/header.cuh"
#include "backends/cuda/gptq/large_batch/dequantise.h"
#include "backends/cuda/gptq/unpack.cuh"
#include "backends/cuda/kernel/launch.cuh"

namespace ropewalk::cuda::gptq {
namespace {

constexpr uint32_t kWarps = 4, kThreads = kWarps * 32;

// Grid (tiles, blocks / 4), a warp a block of 32 x 32. A lane stores 8 rows of a column at once.
template <uint32_t kBits>
__global__ void __launch_bounds__(kThreads) dequantise_kernel(const Dequantise op) {
  const Layout& l = op.layout;
  const uint32_t block = blockIdx.y * kWarps + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (block >= blocks(l)) return;
  const uint32_t* tile =
      reinterpret_cast<const uint32_t*>(op.weight) + (op.first_tile + blockIdx.x) * tile_words(l);
  uint32_t words[kBits];
  load_codes<kBits>(tile + block_at(l, block), lane, words);
  const uint32_t group = block / blocks_per_group(l);
  const Header header = load_header(tile + header_at(l, group), l);
  const uint64_t pitch = uint64_t{blocks(l)} * kBlockRows;
#pragma unroll
  for (uint32_t j = 0; j < kLaneColumns; ++j) {
    __half2 pairs[4];
    unpack<kBits>(words, j, Zero(header.zero[j]), pairs);
    uint4 eight;
    auto* eight_f16 = reinterpret_cast<__half2*>(&eight);
#pragma unroll
    for (uint32_t p = 0; p < 4; ++p) {
      const float2 pair = __half22float2(pairs[p]);
      eight_f16[p] = __floats2half2_rn(pair.x * header.scale[j], pair.y * header.scale[j]);
    }
    const uint64_t n = uint64_t{blockIdx.x} * kTileColumns + column_of(lane, j);
    *reinterpret_cast<uint4*>(reinterpret_cast<__half*>(op.w_f16) + n * pitch + block * kBlockRows +
                              row_of(lane, 0)) = eight;
  }
}

template <uint32_t kBits>
void launch(const Dequantise& op, cudaStream_t stream) {
  const dim3 grid(op.tiles, divide_up(blocks(op.layout), kWarps));
  run_kernel(dequantise_kernel<kBits>, grid, kThreads, stream, op);
}

}  // namespace

void dequantise(const Dequantise& op, cudaStream_t stream) {
  switch (op.layout.bits) {
    case 2:
      return launch<2>(op, stream);
    case 3:
      return launch<3>(op, stream);
    case 4:
      return launch<4>(op, stream);
    default:
      return launch<8>(op, stream);
  }
}

}  // namespace ropewalk::cuda::gptq
