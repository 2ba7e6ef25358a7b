// What surrounds products whose x is made f16 beforehand. Bottlenecks: memory, each of them.
#include <cuda_fp16.h>

#include "backends/cuda/gptq/header.cuh"
#include "backends/cuda/gptq/large_batch/dequantise.h"
#include "backends/cuda/gptq/scale.cuh"
#include "backends/cuda/gptq/unpack.cuh"
#include "backends/cuda/kernel/launch.cuh"
#include "backends/cuda/ops/device.cuh"

namespace ropewalk::cuda::gptq {
namespace {

constexpr uint32_t kWarps = 4, kThreads = kWarps * 32, kRowThreads = 512;

template <class Element>
__device__ __forceinline__ Element rounded(float x);
template <>
__device__ __forceinline__ __half rounded<__half>(float x) {
  return __float2half(x);
}
template <>
__device__ __forceinline__ __nv_bfloat16 rounded<__nv_bfloat16>(float x) {
  return __float2bfloat16(x);
}

// Elements i .. i+3 of a row in the order of the tiles; 0 in what fills blocks up. i % 4 == 0.
__device__ __forceinline__ float4 four_of(const Layout& l, bool in_fours, const float* x,
                                          uint32_t i) {
  if (in_fours)
    return i < l.rows ? __ldg(reinterpret_cast<const float4*>(x + i)) : float4{0, 0, 0, 0};
  const uint32_t block = i / kBlockRows, in_block = i % kBlockRows;
  const uint32_t left = rows_of_block(l, block);
  const float* at = x + first_row(l, block) + in_block;
  return {in_block < left ? __ldg(at) : 0.0f, in_block + 1 < left ? __ldg(at + 1) : 0.0f,
          in_block + 2 < left ? __ldg(at + 2) : 0.0f, in_block + 3 < left ? __ldg(at + 3) : 0.0f};
}

__device__ __forceinline__ float greatest(const float4& x) {
  return fmaxf(fmaxf(fabsf(x.x), fabsf(x.y)), fmaxf(fabsf(x.z), fabsf(x.w)));
}

__device__ __forceinline__ float block_max(float most) {
  __shared__ float greatest_of[kRowThreads / 32];
  most = warp_max(most);
  if (threadIdx.x % 32 == 0) greatest_of[threadIdx.x / 32] = most;
  __syncthreads();
  return warp_max(threadIdx.x % 32 < kRowThreads / 32 ? greatest_of[threadIdx.x % 32] : 0.0f);
}

// A thread block a row, read twice: the second time from L1. Of a few rows it is the latency that
// counts, so that a thread's loads go together. Rows beyond the step's become 0, so that what
// earlier steps left there cannot overflow.
template <class Element>
__global__ void __launch_bounds__(kRowThreads)
    half_rows_kernel(const HalfRows op, const StepView step) {
  const uint32_t r = blockIdx.x, width = padded_rows(op.layout);
  const Layout& l = op.layout;
  const float* x = op.x + uint64_t{r} * l.rows;
  const bool in_fours = is_contiguous(l) && l.rows % 4 == 0;
  auto* to = reinterpret_cast<Element*>(op.halves) + uint64_t{r} * width;
  const bool there = r < rows_of(step, op.extent);
  float most = 0.0f;
  if (there) {
#pragma unroll 4
    for (uint32_t i = threadIdx.x * 4; i < width; i += kRowThreads * 4)
      most = fmaxf(most, greatest(four_of(l, in_fours, x, i)));
  }
  const float scale = power_for(block_max(most)), inverse = 1.0f / scale;
#pragma unroll 4
  for (uint32_t i = threadIdx.x * 4; i < width; i += kRowThreads * 4) {
    const float4 v = there ? four_of(l, in_fours, x, i) : float4{0, 0, 0, 0};
    alignas(8)
        const Element four[4] = {rounded<Element>(v.x * inverse), rounded<Element>(v.y * inverse),
                                 rounded<Element>(v.z * inverse), rounded<Element>(v.w * inverse)};
    *reinterpret_cast<uint2*>(to + i) = *reinterpret_cast<const uint2*>(four);
  }
  if (threadIdx.x == 0) op.scales[r] = scale;
}

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
    auto* halves = reinterpret_cast<__half2*>(&eight);
#pragma unroll
    for (uint32_t p = 0; p < 4; ++p) {
      const float2 pair = __half22float2(pairs[p]);
      halves[p] = __floats2half2_rn(pair.x * header.scale[j], pair.y * header.scale[j]);
    }
    const uint64_t n = uint64_t{blockIdx.x} * kTileColumns + column_of(lane, j);
    *reinterpret_cast<uint4*>(reinterpret_cast<__half*>(op.halves) + n * pitch +
                              block * kBlockRows + row_of(lane, 0)) = eight;
  }
}

__global__ void __launch_bounds__(kThreads) finish_kernel(const Finish op, const StepView step) {
  const uint32_t i = blockIdx.x * kThreads + threadIdx.x, r = blockIdx.y;
  if (i >= op.columns || r >= rows_of(step, op.extent)) return;
  const uint32_t n = op.first + i;
  const auto part = [&](uint32_t p) {
    return op.sums[p][uint64_t{r} * op.columns + i] * op.scales[r] +
           (op.bias[p] ? op.bias[p][n] : 0.0f);
  };
  const uint64_t at = uint64_t{r} * op.cols + n;
  float y = part(0);
  if (op.epilogue == Epilogue::add) y = op.other[at] + y;
  if (op.epilogue == Epilogue::silu_mul) y = op.other ? silu(op.other[at]) * y : silu(y) * part(1);
  op.y[at] = y;
}

template <uint32_t kBits>
void launch(const Dequantise& op, cudaStream_t stream) {
  const dim3 grid(op.tiles, divide_up(blocks(op.layout), kWarps));
  run_kernel(dequantise_kernel<kBits>, grid, kThreads, stream, op);
}

}  // namespace

void half_rows(const HalfRows& op, const StepView& step, cudaStream_t stream) {
  if (op.dtype == abi::DType::bf16)
    run_kernel(half_rows_kernel<__nv_bfloat16>, op.rows, kRowThreads, stream, op, step);
  else
    run_kernel(half_rows_kernel<__half>, op.rows, kRowThreads, stream, op, step);
}

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

void finish(const Finish& op, const StepView& step, cudaStream_t stream) {
  const dim3 grid(divide_up(op.columns, kThreads), op.rows);
  run_kernel(finish_kernel, grid, kThreads, stream, op, step);
}

}  // namespace ropewalk::cuda::gptq
