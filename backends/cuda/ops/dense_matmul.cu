// y[r][n] = bias[n] + sum over k of x[r][k] W[n][k], for weights that are not quantised: lm_head in
// most checkpoints. Grid (width / 8, rows / 8), 4 warps with two columns each, 8 rows of x at a
// time. Bottleneck: memory, from which the weights stream. From 7 rows on, on an H200, L1: 8 rows
// of x are 8 KiB for 1 KiB of two f16 columns, 64 clocks at 128 B a clock where memory takes 50.
// More than 8 rows read the weights again for each 8.
#include "backends/cuda/ops/device.cuh"

namespace ropewalk::cuda {
namespace {

constexpr uint32_t kWarps = 4, kRowBlock = 8, kColumns = 2;  // columns of a warp

// kVector elements are loaded at once: 16 bytes, or one element where the depth does not allow it.
template <class Element, uint32_t kVector>
struct alignas(sizeof(Element) * kVector) Vector {
  Element at[kVector];
};

// At least 5 thread blocks a multiprocessor, a limit at which two columns need no spills.
template <class Element, uint32_t kVector>
__global__ void __launch_bounds__(kWarps * 32, 5)
    dense_matmul_kernel(const DenseMatmul op, const StepView step) {
  constexpr uint32_t kFew = kVector < 4 ? 1 : 4;
  using Few = Vector<float, kFew>;  // of x, 16 bytes as well
  const uint32_t rows = rows_of(step, op.extent), first = blockIdx.y * kRowBlock;
  const uint32_t n = (blockIdx.x * kWarps + threadIdx.x / 32) * kColumns, lane = threadIdx.x % 32;
  if (first >= rows || n >= op.width) return;
  const uint32_t count = min(rows - first, kRowBlock);
  const Vector<Element, kVector>* weight[kColumns];
#pragma unroll
  for (uint32_t c = 0; c < kColumns; ++c)  // a single last column is read twice
    weight[c] = reinterpret_cast<const Vector<Element, kVector>*>(
        reinterpret_cast<const Element*>(op.weight) +
        uint64_t{min(n + c, op.width - 1)} * op.depth);
  const float* x = op.x + uint64_t{first} * op.depth;
  // multiply: a lane takes every 32nd vector of K
  float sums[kRowBlock][kColumns] = {};
#pragma unroll 2
  for (uint32_t v = lane; v < op.depth / kVector; v += 32) {
    Vector<Element, kVector> w[kColumns];
#pragma unroll
    for (uint32_t c = 0; c < kColumns; ++c) w[c] = weight[c][v];
#pragma unroll
    for (uint32_t r = 0; r < kRowBlock; ++r) {
      if (r >= count) break;
      const auto* at = reinterpret_cast<const Few*>(x + uint64_t{r} * op.depth + v * kVector);
#pragma unroll
      for (uint32_t f = 0; f < kVector / kFew; ++f) {
        const Few few = at[f];
#pragma unroll
        for (uint32_t i = 0; i < kFew; ++i)
#pragma unroll
          for (uint32_t c = 0; c < kColumns; ++c)
            sums[r][c] += to_float(w[c].at[f * kFew + i]) * few.at[i];
      }
    }
  }
  // sum over the warp
#pragma unroll
  for (uint32_t r = 0; r < kRowBlock; ++r)
#pragma unroll
    for (uint32_t c = 0; c < kColumns; ++c) {
      const float sum = warp_sum(sums[r][c]);
      if (lane == 0 && r < count && n + c < op.width)
        op.y[uint64_t{first + r} * op.width + n + c] = sum + (op.bias ? op.bias[n + c] : 0.0f);
    }
}

template <class Element>
void launch_as(const DenseMatmul& op, const Launch& launch) {
  constexpr uint32_t kVector = 16 / sizeof(Element);
  constexpr uint32_t kOfBlock = kWarps * kColumns;
  const dim3 grid((op.width + kOfBlock - 1) / kOfBlock,
                  (launch.max_rows(op.extent) + kRowBlock - 1) / kRowBlock);
  if (op.depth % kVector == 0)
    run_kernel(dense_matmul_kernel<Element, kVector>, grid, kWarps * 32, launch.stream, op,
               launch.step);
  else
    run_kernel(dense_matmul_kernel<Element, 1>, grid, kWarps * 32, launch.stream, op, launch.step);
}

}  // namespace

void dense_matmul(const DenseMatmul& op, const Launch& launch) {
  if (op.dtype == abi::DType::f32)
    launch_as<float>(op, launch);
  else if (op.dtype == abi::DType::f16)
    launch_as<__half>(op, launch);
  else
    launch_as<__nv_bfloat16>(op, launch);
}

}  // namespace ropewalk::cuda
