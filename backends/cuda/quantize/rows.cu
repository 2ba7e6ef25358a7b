// What passes between a model's parts: copied with a look at each value, and transposed for the
// sums of inputs. Bottleneck: memory.
#include "backends/cuda/quantize/rows.h"

#include <cuda_fp16.h>

#include "backends/cuda/kernel/launch.cuh"

namespace ropewalk::cuda {
namespace {

constexpr uint32_t kRowThreads = 256, kRowSide = 32, kCopyBlocks = 1024;

__device__ __forceinline__ __half rounded(float value) { return __float2half_rn(value); }
__device__ __forceinline__ __half rounded(__half value) { return value; }

__device__ __forceinline__ bool is_number(float value) { return isfinite(value); }
__device__ __forceinline__ bool is_number(__half value) { return isfinite(__half2float(value)); }

// A block takes a tile of 32 x 32.
template <class Value>
__global__ void __launch_bounds__(kRowThreads) transpose_kernel(const Transposition op) {
  __shared__ __half part[kRowSide][kRowSide + 2];
  const auto* from = reinterpret_cast<const Value*>(op.from);
  const uint32_t row = blockIdx.y * kRowSide, column = blockIdx.x * kRowSide;
  const uint32_t x = threadIdx.x % kRowSide, y = threadIdx.x / kRowSide;
  for (uint32_t i = y; i < kRowSide; i += kRowThreads / kRowSide) {
    __half value = __float2half_rn(0.0f);
    if (row + i < op.rows && column + x < op.columns)
      value = rounded(from[uint64_t{row + i} * op.columns + column + x]);
    if (!is_number(value)) *op.beyond = 1;
    part[i][x] = value;
  }
  __syncthreads();
  for (uint32_t i = y; i < kRowSide; i += kRowThreads / kRowSide)
    if (column + i < op.columns && row + x < op.pitch)
      op.to[uint64_t{column + i} * op.pitch + row + x] = __half_as_ushort(part[x][i]);
}

template <class Value>
__global__ void __launch_bounds__(kRowThreads) copy_kernel(const RowCopy op) {
  const auto* from = reinterpret_cast<const Value*>(op.from);
  auto* to = reinterpret_cast<Value*>(op.to);
  for (uint32_t i = blockIdx.x * kRowThreads + threadIdx.x; i < op.count;
       i += gridDim.x * kRowThreads) {
    const Value value = from[i];
    if (!is_number(value)) atomicMin(op.first_bad, i);
    to[i] = value;
  }
}

}  // namespace

void transpose(const Transposition& op, cudaStream_t stream) {
  const dim3 grid((op.columns + kRowSide - 1) / kRowSide, (op.pitch + kRowSide - 1) / kRowSide);
  if (op.dtype == abi::DType::f16)
    run_kernel(transpose_kernel<__half>, grid, kRowThreads, stream, op);
  else
    run_kernel(transpose_kernel<float>, grid, kRowThreads, stream, op);
}

void copy_rows(const RowCopy& op, cudaStream_t stream) {
  const dim3 grid(std::min(kCopyBlocks, (op.count + kRowThreads - 1) / kRowThreads));
  if (op.dtype == abi::DType::f16)
    run_kernel(copy_kernel<__half>, grid, kRowThreads, stream, op);
  else
    run_kernel(copy_kernel<float>, grid, kRowThreads, stream, op);
}

}  // namespace ropewalk::cuda
