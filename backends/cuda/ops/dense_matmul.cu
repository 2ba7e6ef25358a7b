// y[r][n] = bias[n] + sum over k of x[r][k] W[n][k], for weights that are not quantised: lm_head in
// most checkpoints. Grid (width / 4, rows / 8), a warp a column of 4, 8 rows of x at a time.
// Bottleneck: up to 8 rows the memory that the weights stream from; beyond, the weights are read
// again for each 8 rows.
#include "backends/cuda/ops/device.cuh"

namespace ropewalk::cuda {
namespace {

constexpr uint32_t kWarps = 4, kRowBlock = 8;

// kVector elements are loaded at once; 1 where the depth is no multiple of more.
template <class Element, uint32_t kVector>
struct alignas(sizeof(Element) * kVector) Vector {
  Element at[kVector];
};

template <class Element, uint32_t kVector>
__global__ void __launch_bounds__(kWarps * 32)
    dense_matmul_kernel(const DenseMatmul op, const StepView step) {
  constexpr uint32_t kFew = kVector < 4 ? 1 : 4;
  using Few = Vector<float, kFew>;  // of x, 16 bytes too
  const uint32_t rows = rows_of(step, op.extent), first = blockIdx.y * kRowBlock;
  const uint32_t n = blockIdx.x * kWarps + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (first >= rows || n >= op.width) return;
  const uint32_t count = min(rows - first, kRowBlock);
  const auto* weight = reinterpret_cast<const Vector<Element, kVector>*>(
      reinterpret_cast<const Element*>(op.weight) + uint64_t{n} * op.depth);
  const float* x = op.x + uint64_t{first} * op.depth;
  float sums[kRowBlock] = {};
#pragma unroll 2
  for (uint32_t v = lane; v < op.depth / kVector; v += 32) {
    const Vector<Element, kVector> w = weight[v];
#pragma unroll
    for (uint32_t r = 0; r < kRowBlock; ++r) {
      if (r >= count) break;
      const auto* at = reinterpret_cast<const Few*>(x + uint64_t{r} * op.depth + v * kVector);
#pragma unroll
      for (uint32_t f = 0; f < kVector / kFew; ++f) {
        const Few few = at[f];
#pragma unroll
        for (uint32_t i = 0; i < kFew; ++i) sums[r] += to_float(w.at[f * kFew + i]) * few.at[i];
      }
    }
  }
#pragma unroll
  for (uint32_t r = 0; r < kRowBlock; ++r) {
    const float sum = warp_sum(sums[r]);
    if (lane == 0 && r < count)
      op.y[uint64_t{first + r} * op.width + n] = sum + (op.bias ? op.bias[n] : 0.0f);
  }
}

template <class Element>
void launch_as(const DenseMatmul& op, const Launch& launch) {
  constexpr uint32_t kVector = 16 / sizeof(Element);
  const dim3 grid((op.width + kWarps - 1) / kWarps,
                  (launch.most(op.extent) + kRowBlock - 1) / kRowBlock);
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
