// What becomes of cuBLAS's sums. Bottleneck of both kernels: memory; epilogue.h counts its bytes.
#include "backends/cuda/gptq/large_batch/epilogue.h"

#include "backends/cuda/gptq/large_batch/epilogue.cuh"

namespace ropewalk::cuda::gptq {
namespace {

constexpr uint32_t kFinishThreads = 128, kColumnsAtOnce = 4;

// Four neighbours of a row: with `together` as one vector, else the first `count` and 0.
__device__ __forceinline__ float4 load_floats(const float* from, bool together, uint32_t count) {
  if (together) return *reinterpret_cast<const float4*>(from);
  return {count > 0 ? from[0] : 0.0f, count > 1 ? from[1] : 0.0f, count > 2 ? from[2] : 0.0f,
          count > 3 ? from[3] : 0.0f};
}
__device__ __forceinline__ float4 load_sums(const float* from, bool together, uint32_t count) {
  return load_floats(from, together, count);
}
__device__ __forceinline__ float4 load_sums(const __half* from, bool, uint32_t) {
  const uint2 four = *reinterpret_cast<const uint2*>(from);
  const float2 low = __half22float2(*reinterpret_cast<const __half2*>(&four.x)),
               high = __half22float2(*reinterpret_cast<const __half2*>(&four.y));
  return {low.x, low.y, high.x, high.y};
}

__device__ __forceinline__ float4 real_sums(const float4& sums, float scale, const float* bias,
                                            bool together, uint32_t count) {
  const float4 b = bias ? load_floats(bias, together, count) : float4{0, 0, 0, 0};
  return {sums.x * scale + b.x, sums.y * scale + b.y, sums.z * scale + b.z, sums.w * scale + b.w};
}

// Grid (columns / 512, rows), a thread 4 columns.
template <class Sum>
__global__ void __launch_bounds__(kFinishThreads)
    finish_kernel(const Finish op, const StepView step) {
  const uint32_t i = (blockIdx.x * kFinishThreads + threadIdx.x) * kColumnsAtOnce, r = blockIdx.y;
  const uint32_t end = op.gated.x_f16 ? divide_up(op.columns, kBlockRows) * kBlockRows : op.columns;
  if (i >= end || r >= rows_of(step, op.extent)) return;
  const uint32_t n = op.first + i;
  const uint32_t count = i < op.columns ? min(op.columns - i, kColumnsAtOnce) : 0;
  const bool together = op.cols % 4 == 0 && op.first % 4 == 0 && count == kColumnsAtOnce;
  const float scale = scale_of(op.x_scales, r);
  const auto part = [&](uint32_t p) {
    const Sum* from = static_cast<const Sum*>(op.sums[p]) + r * op.pitch + i;
    return real_sums(load_sums(from, op.pitch % 4 == 0 && count == kColumnsAtOnce, count), scale,
                     op.bias[p] ? op.bias[p] + n : nullptr, together, count);
  };
  const uint64_t at = uint64_t{r} * op.cols + n;
  float4 y = part(0);
  if (op.epilogue == Epilogue::add) {
    const float4 other = load_floats(op.other + at, together, count);
    y = {other.x + y.x, other.y + y.y, other.z + y.z, other.w + y.w};
  } else if (op.epilogue == Epilogue::gate_mul) {
    const float4 gate = op.other ? load_floats(op.other + at, together, count) : y,
                 up = op.other ? y : part(1);
    const auto activate = [&](float x) { return activated(op.activation, x); };
    y = {activate(gate.x) * up.x, activate(gate.y) * up.y, activate(gate.z) * up.z,
         activate(gate.w) * up.w};
  }
  const auto four = [&](uint32_t j) {
    return j >= count ? 0.0f : j == 0 ? y.x : j == 1 ? y.y : j == 2 ? y.z : y.w;
  };
  if (op.gated.x_f16) {
    auto* to = reinterpret_cast<__half*>(op.gated.x_f16) + uint64_t{r} * op.gated.width + n;
    *reinterpret_cast<uint2*>(to) = {gated_pair(four(0), four(1)), gated_pair(four(2), four(3))};
  } else if (together) {
    *reinterpret_cast<float4*>(op.y + at) = y;
  } else {
    for (uint32_t j = 0; j < count; ++j) op.y[at + j] = four(j);
  }
}

// Grid (heads / 4, rows), a warp a head. Without the 8, all that Turing has threads for, the
// compiler spills 4 bytes on sm_80, for more thread blocks.
__global__ void __launch_bounds__(kFinishThreads, 8)
    append_halves_kernel(const AppendHalves op, const StepView step) {
  constexpr uint32_t kHeadsAtOnce = kFinishThreads / 32;
  __shared__ float heads[kHeadsAtOnce][kMaxHeadDim];
  const RopeAppend& append = op.append;
  const uint32_t r = blockIdx.y, kv_heads = append.keys.kv_heads, d = append.keys.head_dim;
  uint32_t head = blockIdx.x * kHeadsAtOnce + threadIdx.x / 32, part = 0;
  if (r >= rows_of(step, Extent::rows) || head >= append.heads + 2 * kv_heads) return;
  for (uint32_t of_part = append.heads; head >= of_part; of_part = kv_heads, ++part)
    head -= of_part;
  const float scale = scale_of(op.x_scales, r);
  const __half* sums = op.sums + r * op.pitch + op.first[part] + head * d;
  const float* bias = op.bias[part] ? op.bias[part] + head * d : nullptr;
  const auto value = [&](uint32_t i) {
    return __half2float(sums[i]) * scale + (bias ? bias[i] : 0.0f);
  };
  const uint64_t query = (uint64_t{r} * append.heads + head) * d;
  const bool in_place = part == 0 && !append.half_queries;
  float* to = in_place ? append.q_rotated + query : heads[threadIdx.x / 32];
  for (uint32_t i = threadIdx.x % 32; i < d / 2; i += 32) {
    float2 pair = {value(i), value(i + d / 2)};
    if (part != 2) pair = rotate_by(op.rotations[uint64_t{r} * (d / 2) + i], pair);
    to[i] = pair.x;
    to[i + d / 2] = pair.y;
  }
  if (in_place) return;
  __syncwarp();
  if (part == 0) {
    auto* halves = reinterpret_cast<__half2*>(append.q_rotated) + query / 2;
    for (uint32_t i = threadIdx.x % 32; i < d / 2; i += 32)
      halves[i] = __floats2half2_rn(to[2 * i], to[2 * i + 1]);
    return;
  }
  const Cache& cache = part == 1 ? append.keys : append.values;
  store_head(to, cache, entry_at(cache, step, step.sequence[r], head, step.position[r]));
}

}  // namespace

void finish(const Finish& op, const StepView& step, cudaStream_t stream) {
  const uint32_t columns = divide_up(op.columns, kBlockRows) * kBlockRows;
  const dim3 grid(divide_up(columns, kFinishThreads * kColumnsAtOnce), op.rows);
  if (op.sum_type == abi::DType::f16)
    run_kernel(finish_kernel<__half>, grid, kFinishThreads, stream, op, step);
  else
    run_kernel(finish_kernel<float>, grid, kFinishThreads, stream, op, step);
}

void append_halves(const AppendHalves& op, const Launch& launch) {
  const uint32_t heads = op.append.heads + 2 * op.append.keys.kv_heads;
  const dim3 grid(divide_up(heads, kFinishThreads / 32), launch.rows);
  run_kernel(append_halves_kernel, grid, kFinishThreads, launch.stream, op, launch.step);
}

}  // namespace ropewalk::cuda::gptq
