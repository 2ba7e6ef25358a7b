// GPTQ's columns, with the same bits as core/quantize/solve.cpp makes from the same U:
//
//   code   clamp(round(w / s) + z)             column by column; a warp has a row of W
//   w_j   -= (w - s (code - z)) / U_kk U_kj    for all behind it, in the order of the columns
//
// A block of 128 columns at a time: one kernel for all rows with the corner of U in shared memory,
//
//   columns:   done | corner | rest      what is above the corner's diagonal: 32 KiB
//
// then one product for the rest. The compiler may not join a product and a sum (__fmul_rn).
// Bottleneck: the product's multiplications and additions; the search for ranges, in f64, on GPUs
// that have little of it.
#include "backends/cuda/quantize/columns.h"

#include <cuda_fp16.h>

#include "backends/cuda/kernel/async.cuh"
#include "backends/cuda/kernel/launch.cuh"

namespace ropewalk::cuda {
namespace {

constexpr uint32_t kThreads = 256, kWarps = kThreads / 32, kAll = 0xffffffff;
constexpr uint32_t kTrials = 61;  // the range as it is, then 110 to 51 per cent of it
constexpr uint32_t kMostPercent = 110;
constexpr float kMaxHalf = 65504, kMinHalf = 0x1p-24f;

struct Range {
  float scale, zero;
  uint32_t scale_bits;
  bool overflow;
};

struct Bounds {
  float low, high;
};

__device__ __forceinline__ float clamped(float value, float low, float high) {
  return value < low ? low : (high < value ? high : value);
}

__device__ __forceinline__ float code_of(const Range& range, float weight, float max_code) {
  return clamped(__fadd_rn(rintf(__fdiv_rn(weight, range.scale)), range.zero), 0.0f, max_code);
}

__device__ __forceinline__ float value_of(const Range& range, float code) {
  return __fmul_rn(range.scale, __fsub_rn(code, range.zero));
}

__device__ __forceinline__ float max_code_of(const RoundingRules& rules) {
  return static_cast<float>((1u << rules.bits) - 1);
}

__device__ __forceinline__ Range range_of(const Bounds& bounds, const RoundingRules& rules) {
  const float max_code = max_code_of(rules);
  float scale = __fdiv_rn(__fsub_rn(bounds.high, bounds.low), max_code);
  Range range;
  if (rules.symmetric) {
    range.zero = static_cast<float>(1u << (rules.bits - 1));
  } else {
    range.zero = rintf(__fdiv_rn(-bounds.low, scale));
    if (rules.zero_from_one) {
      range.zero = clamped(range.zero, 1.0f, max_code);
      scale = __fdiv_rn(-bounds.low, range.zero);
      if (range.zero < max_code)
        scale = max(scale, __fdiv_rn(bounds.high, __fsub_rn(max_code, range.zero)));
    }
  }
  range.overflow = scale > kMaxHalf;
  const __half half = __float2half_rn(clamped(scale, kMinHalf, kMaxHalf));
  range.scale_bits = __half_as_ushort(half);
  range.scale = __half2float(half);
  return range;
}

__device__ __forceinline__ double exchanged(double value, uint32_t mask) {
  const auto bits = static_cast<uint64_t>(__double_as_longlong(value));
  const uint32_t low = __shfl_xor_sync(kAll, static_cast<uint32_t>(bits), mask);
  const uint32_t high = __shfl_xor_sync(kAll, static_cast<uint32_t>(bits >> 32), mask);
  return __longlong_as_double(static_cast<long long>(uint64_t{high} << 32 | low));
}

// The whole warp finds the range of `count` weights. Each lane tries two of the factors.
template <class Weight, class Importance>
__device__ Range find_range(const RoundingRules& rules, uint32_t count, const Weight& weight_at,
                            const Importance& importance_at) {
  const uint32_t lane = threadIdx.x % 32;
  Bounds bounds{0, 0};
  for (uint32_t i = lane; i < count; i += 32) {
    const float weight = weight_at(i);
    if (weight < bounds.low) bounds.low = weight;
    if (bounds.high < weight) bounds.high = weight;
  }
  for (uint32_t mask = 16; mask > 0; mask /= 2) {
    const float low = __shfl_xor_sync(kAll, bounds.low, mask);
    const float high = __shfl_xor_sync(kAll, bounds.high, mask);
    if (low < bounds.low) bounds.low = low;
    if (bounds.high < high) bounds.high = high;
  }
  if (rules.symmetric) {
    if (bounds.high < -bounds.low) bounds.high = -bounds.low;
    bounds.low = -bounds.high;
  }
  if (bounds.low == 0 && bounds.high == 0) bounds = {-1, 1};
  if (!rules.search) return range_of(bounds, rules);

  const auto trial = [&](uint32_t i) {
    if (i == 0) return range_of(bounds, rules);
    const float factor = __fdiv_rn(static_cast<float>(kMostPercent + 1 - i), 100.0f);
    return range_of({__fmul_rn(bounds.low, factor), __fmul_rn(bounds.high, factor)}, rules);
  };
  const float max_code = max_code_of(rules);
  const Range ranges[2] = {trial(lane), trial(min(lane + 32, kTrials - 1))};
  double costs[2] = {};
  for (uint32_t i = 0; i < count; ++i) {
    const float weight = weight_at(i);
    const double importance = importance_at(i);
    for (uint32_t t = 0; t < 2; ++t) {
      const float error =
          __fsub_rn(weight, value_of(ranges[t], code_of(ranges[t], weight, max_code)));
      const double weighted = __ddiv_rn(static_cast<double>(error), importance);
      costs[t] = __dadd_rn(costs[t], __dmul_rn(weighted, weighted));
    }
  }
  // The first of the cheapest.
  uint32_t best = costs[1] < costs[0] ? lane + 32 : lane;
  double cost = costs[1] < costs[0] ? costs[1] : costs[0];
  for (uint32_t mask = 16; mask > 0; mask /= 2) {
    const uint32_t other = __shfl_xor_sync(kAll, best, mask);
    const double other_cost = exchanged(cost, mask);
    if (other_cost < cost || (other_cost == cost && other < best)) {
      best = other;
      cost = other_cost;
    }
  }
  return trial(min(best, kTrials - 1));
}

__device__ __forceinline__ void store(const Rounding& op, uint32_t group, uint32_t row,
                                      const Range& range) {
  if (threadIdx.x % 32) return;
  const uint64_t at = uint64_t{group} * op.rows + row;
  op.scales[at] = static_cast<uint16_t>(range.scale_bits);
  op.zeros[at] = static_cast<uint8_t>(range.zero);
  if (range.overflow) atomicAdd(op.clipped, 1u);
}

__device__ __forceinline__ Range load(const Rounding& op, uint32_t group, uint32_t row) {
  const uint64_t at = uint64_t{group} * op.rows + row;
  return {__half2float(__ushort_as_half(op.scales[at])), static_cast<float>(op.zeros[at]), 0,
          false};
}

__device__ __forceinline__ uint32_t columns_of(const Rounding& op, uint32_t group) {
  return min(op.rules.group_size, op.n - group * op.rules.group_size);
}

__device__ __forceinline__ bool is_dead(const double* h, uint32_t n, uint32_t column) {
  return h && h[uint64_t{column} * n + column] == 0;
}

// The ranges of the stored groups: block (rows / kWarps, groups), a warp for each row.
__global__ void __launch_bounds__(kThreads)
    ranges_kernel(const Rounding op, const double* h, const float* importance) {
  const uint32_t row = blockIdx.x * kWarps + threadIdx.x / 32, group = blockIdx.y;
  if (row >= op.rows) return;
  const uint32_t first = group * op.rules.group_size;
  const float* weight = op.weight + uint64_t{row} * op.n;
  const Range range = find_range(
      op.rules, columns_of(op, group),
      [&](uint32_t i) { return is_dead(h, op.n, first + i) ? 0.0f : weight[first + i]; },
      [&](uint32_t i) { return static_cast<double>(importance[first + i]); });
  store(op, group, row, range);
}

// A thread for each weight: block (n / kThreads, rows).
__global__ void __launch_bounds__(kThreads) codes_kernel(const Rounding op) {
  const uint32_t row = blockIdx.y, k = blockIdx.x * kThreads + threadIdx.x;
  if (k >= op.n) return;
  op.codes[uint64_t{k} * op.rows + row] =
      static_cast<uint8_t>(code_of(load(op, k / op.rules.group_size, row),
                                   op.weight[uint64_t{row} * op.n + k], max_code_of(op.rules)));
}

__global__ void __launch_bounds__(kThreads)
    lost_kernel(const Rounding op, const uint32_t* group_of, float* lost) {
  const uint32_t row = blockIdx.y, k = blockIdx.x * kThreads + threadIdx.x;
  if (k >= op.n) return;
  const uint64_t at = uint64_t{row} * op.n + k;
  const Range range = load(op, group_of ? group_of[k] : k / op.rules.group_size, row);
  lost[at] = __fsub_rn(op.weight[at],
                       value_of(range, static_cast<float>(op.codes[uint64_t{k} * op.rows + row])));
}

__global__ void __launch_bounds__(kThreads) sort_kernel(const ColumnRounding op) {
  const uint32_t n = op.of.n, row = blockIdx.y, i = blockIdx.x * kThreads + threadIdx.x;
  if (i >= n) return;
  const uint32_t column = op.order[i];
  const float weight = op.of.weight[uint64_t{row} * n + column];
  op.sorted[uint64_t{row} * n + i] = is_dead(op.h, n, column) ? 0.0f : weight;
  if (row) return;
  const float importance = op.upper[uint64_t{i} * n + i];
  op.importance[i] = importance;
  op.importance[n + column] = importance;
}

// Where row i of a corner's upper half begins, less its first column i + 1.
__device__ __forceinline__ int32_t corner_row(uint32_t i, uint32_t width) {
  return static_cast<int32_t>(i * (2 * width - i - 1) / 2) - static_cast<int32_t>(i + 1);
}

// Columns [begin, begin + width) of all rows: a warp for each row.
__global__ void __launch_bounds__(kThreads)
    block_kernel(const ColumnRounding op, uint32_t begin, uint32_t width) {
  auto* corner = reinterpret_cast<float*>(dynamic_shared());
  __shared__ float of_rows[kWarps][kColumnsAtOnce];
  const uint32_t n = op.of.n, lane = threadIdx.x % 32;
  const uint32_t row = blockIdx.x * kWarps + threadIdx.x / 32;
  float* weights = of_rows[threadIdx.x / 32];
  for (uint32_t i = threadIdx.x / 32; i < width; i += kWarps)
    for (uint32_t j = i + 1 + lane; j < width; j += 32)
      corner[corner_row(i, width) + static_cast<int32_t>(j)] =
          op.upper[uint64_t{begin + i} * n + begin + j];
  const float* sorted = op.sorted + uint64_t{min(row, op.of.rows - 1)} * n + begin;
  for (uint32_t i = lane; i < width; i += 32) weights[i] = sorted[i];
  __syncthreads();
  if (row >= op.of.rows) return;
  const RoundingRules& rules = op.of.rules;
  const float max_code = max_code_of(rules);
  Range range{};
  uint32_t held = UINT32_MAX;  // group
  for (uint32_t i = 0; i < width; ++i) {
    const uint32_t group = op.group[begin + i];
    if (!op.fixed && (begin + i) % rules.group_size == 0) {
      // A group that goes on behind this block begins with it.
      const uint32_t count = columns_of(op.of, group);
      const float* from = count > width - i ? sorted + i : weights + i;
      const float* importance = op.importance + begin + i;
      range = find_range(
          rules, count, [&](uint32_t j) { return from[j]; },
          [&](uint32_t j) { return static_cast<double>(importance[j]); });
      store(op.of, group, row, range);
    } else if (group != held) {
      range = load(op.of, group, row);
    }
    held = group;
    const float weight = weights[i];
    const float code = code_of(range, weight, max_code);
    const float passed =
        -__fdiv_rn(__fsub_rn(weight, value_of(range, code)), op.importance[begin + i]);
    if (lane == 0) {
      op.of.codes[uint64_t{op.order[begin + i]} * op.of.rows + row] = static_cast<uint8_t>(code);
      op.passed[uint64_t{row} * kColumnsAtOnce + i] = passed;
    }
    __syncwarp();
    const float* upper = corner + corner_row(i, width);
    for (uint32_t j = i + 1 + lane; j < width; j += 32)
      weights[j] = __fadd_rn(weights[j], __fmul_rn(passed, upper[j]));
    __syncwarp();
  }
}

constexpr uint32_t kTile = 64, kStep = 16, kSide = 4;

// sorted[:, first + ..] += passed . U[begin .. begin + width, first + ..]: block (column tile, row
// tile), 4 x 4 sums a thread, whose terms come in the order of the columns.
__global__ void __launch_bounds__(kThreads)
    pass_on_kernel(const ColumnRounding op, uint32_t begin, uint32_t width) {
  __shared__ __align__(16) float a_part[kStep][kTile + kSide];
  __shared__ __align__(16) float b_part[kStep][kTile + kSide];
  const uint32_t n = op.of.n, first_row = blockIdx.y * kTile;
  const uint32_t first_column = begin + width + blockIdx.x * kTile;
  const uint32_t side = kTile / kSide;
  const uint32_t r = threadIdx.x / side * kSide, c = threadIdx.x % side * kSide;
  float* at = op.sorted + uint64_t{first_row + r} * n + first_column + c;
  const auto is_inside = [&](uint32_t i, uint32_t j) {
    return first_row + r + i < op.of.rows && first_column + c + j < n;
  };
  float sums[kSide][kSide];
  for (uint32_t i = 0; i < kSide; ++i)
    for (uint32_t j = 0; j < kSide; ++j)
      sums[i][j] = is_inside(i, j) ? at[uint64_t{i} * n + j] : 0.0f;
  for (uint32_t first = 0; first < width; first += kStep) {
    const uint32_t depth = min(kStep, width - first);
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < kTile * kStep; i += kThreads) {
      const uint32_t row = i / kStep, k = i % kStep;
      if (k < depth && first_row + row < op.of.rows)
        a_part[k][row] = op.passed[uint64_t{first_row + row} * kColumnsAtOnce + first + k];
      const uint32_t column = i % kTile, of = i / kTile;
      if (of < depth && first_column + column < n)
        b_part[of][column] = op.upper[uint64_t{begin + first + of} * n + first_column + column];
    }
    __syncthreads();
    for (uint32_t k = 0; k < depth; ++k) {
      const float4 a = *reinterpret_cast<const float4*>(&a_part[k][r]);
      const float4 b = *reinterpret_cast<const float4*>(&b_part[k][c]);
      const float left[kSide] = {a.x, a.y, a.z, a.w}, right[kSide] = {b.x, b.y, b.z, b.w};
      for (uint32_t i = 0; i < kSide; ++i)
        for (uint32_t j = 0; j < kSide; ++j)
          sums[i][j] = __fadd_rn(sums[i][j], __fmul_rn(left[i], right[j]));
    }
  }
  for (uint32_t i = 0; i < kSide; ++i)
    for (uint32_t j = 0; j < kSide; ++j)
      if (is_inside(i, j)) at[uint64_t{i} * n + j] = sums[i][j];
}

uint32_t blocks_of(uint32_t count, uint32_t each) { return (count + each - 1) / each; }

uint32_t groups_of(const Rounding& op) { return blocks_of(op.n, op.rules.group_size); }

// No group may begin inside of a block and end beyond.
uint32_t end_of_block(const Rounding& op, uint32_t begin) {
  const uint32_t group = op.rules.group_size;
  if (group < kColumnsAtOnce) return std::min(begin + kColumnsAtOnce / group * group, op.n);
  return std::min({begin + kColumnsAtOnce, (begin / group + 1) * group, op.n});
}

}  // namespace

void round_nearest(const Rounding& op, cudaStream_t stream) {
  run_kernel(ranges_kernel, dim3(blocks_of(op.rows, kWarps), groups_of(op)), kThreads, stream, op,
             static_cast<const double*>(nullptr), static_cast<const float*>(nullptr));
  run_kernel(codes_kernel, dim3(blocks_of(op.n, kThreads), op.rows), kThreads, stream, op);
}

void round_columns(const ColumnRounding& op, cudaStream_t stream) {
  const Rounding& of = op.of;
  run_kernel(sort_kernel, dim3(blocks_of(of.n, kThreads), of.rows), kThreads, stream, op);
  const uint32_t row_blocks = blocks_of(of.rows, kWarps);
  if (op.fixed)
    run_kernel(ranges_kernel, dim3(row_blocks, groups_of(of)), kThreads, stream, of, op.h,
               static_cast<const float*>(op.importance + of.n));
  for (uint32_t begin = 0; begin < of.n;) {
    const uint32_t end = end_of_block(of, begin), width = end - begin;
    const uint32_t corner = width * (width - 1) / 2 * uint32_t{sizeof(float)};
    run_kernel_in(block_kernel, {dim3(row_blocks), kThreads, corner, Start::after, stream}, op,
                  begin, width);
    if (end < of.n)
      run_kernel(pass_on_kernel, dim3(blocks_of(of.n - end, kTile), blocks_of(of.rows, kTile)),
                 kThreads, stream, op, begin, width);
    begin = end;
  }
}

void find_lost(const Rounding& op, const uint32_t* group_of, float* lost, cudaStream_t stream) {
  run_kernel(lost_kernel, dim3(blocks_of(op.n, kThreads), op.rows), kThreads, stream, op, group_of,
             lost);
}

}  // namespace ropewalk::cuda
