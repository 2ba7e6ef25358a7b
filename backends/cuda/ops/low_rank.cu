// y' = y + (g y + h) + (x . A) . B with the matrices and vectors of the row's adapter; y where it
// has none.
//
// Two launches. shrink: grid (panels of 32 ranks, splits of K, tiles of rows), a warp a row of A, a
// lane a rank; the warps' sums meet in shared memory, those of the splits in memory. expand: grid
// (blocks of columns, tiles of rows), a thread two columns. Rows of one adapter within a tile share
// what they read. Bottleneck: the launches, then A and B from memory.
#include "backends/cuda/ops/device.cuh"

namespace ropewalk::cuda {
namespace {

constexpr uint32_t kWarps = 8;           // of shrink
constexpr uint32_t kExpandThreads = 64;  // of expand, two columns each

__device__ __forceinline__ uint32_t adapter_of(const StepView& step, uint32_t row, Extent extent) {
  return step.adapter[step.sequence[extent == Extent::wanted ? step.wanted[row] : row]];
}

// Rows [first, last) of a tile that have one adapter.
struct Run {
  uint32_t first, last;
  uint32_t slot, rank;
};

__device__ __forceinline__ Run run_from(const LowRank& op, const StepView& step, uint32_t first,
                                        uint32_t end) {
  Run run{first, first + 1, adapter_of(step, first, op.extent), 0};
  while (run.last < end && adapter_of(step, run.last, op.extent) == run.slot) ++run.last;
  if (run.slot != abi::kNoAdapter) run.rank = static_cast<uint32_t>(op.ranks[run.slot]);
  return run;
}

template <uint32_t kTile>
__global__ void low_rank_shrink(const LowRank op, const StepView step) {
  __shared__ float sums[kWarps][kTile][32];
  const uint32_t rows = rows_of(step, op.extent), begin = blockIdx.z * kTile;
  const uint32_t end = min(begin + kTile, rows);
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const uint32_t rank = blockIdx.x * 32 + lane;
  const uint32_t depth = (op.depth + op.splits - 1) / op.splits;
  const uint32_t first_k = blockIdx.y * depth, last_k = min(first_k + depth, op.depth);
  for (uint32_t first = begin; first < end;) {
    const Run run = run_from(op, step, first, end);
    first = run.last;
    if (blockIdx.x * 32 >= run.rank) continue;
    const __half* a = op.a + uint64_t{run.slot} * op.depth * op.cap + rank;
    const float* x = op.x + uint64_t{run.first} * op.depth;
    const uint32_t count = run.last - run.first;
    float sum[kTile] = {};
#pragma unroll 4
    for (uint32_t k = first_k + warp; k < last_k; k += kWarps) {
      const float weight = to_float(a[uint64_t{k} * op.cap]);
#pragma unroll
      for (uint32_t r = 0; r < kTile; ++r)
        if (r < count) sum[r] += x[uint64_t{r} * op.depth + k] * weight;
    }
#pragma unroll
    for (uint32_t r = 0; r < kTile; ++r) sums[warp][r][lane] = sum[r];
    __syncthreads();
    for (uint32_t r = warp; r < count; r += kWarps) {
      float all = 0.0f;
      for (uint32_t w = 0; w < kWarps; ++w) all += sums[w][r][lane];
      op.partials[(uint64_t{run.first + r} * op.splits + blockIdx.y) * op.cap + rank] = all;
    }
    __syncthreads();
  }
}

// What the sum is added to.
__device__ __forceinline__ float start_of(const LowRank& op, uint32_t slot, uint64_t at,
                                          uint32_t n) {
  const float y = op.y[at];
  if (!op.vectors || slot == abi::kNoAdapter) return y;
  const float* gain = op.vectors + uint64_t{slot} * 2 * op.width + n;
  return y + (gain[0] * y + gain[op.width]);
}

template <uint32_t kTile>
__global__ void low_rank_expand(const LowRank op, const StepView step) {
  __shared__ float middle[kTile * kMaxAdapterRank];  // (kTile, cap)
  const uint32_t rows = rows_of(step, op.extent), begin = blockIdx.y * kTile;
  const uint32_t end = min(begin + kTile, rows);
  const uint32_t n = (blockIdx.x * kExpandThreads + threadIdx.x) * 2;
  for (uint32_t first = begin; first < end;) {
    const Run run = run_from(op, step, first, end);
    first = run.last;
    const uint32_t count = run.last - run.first;
    // the middle, summed over the splits
    for (uint32_t at = threadIdx.x; at < count * run.rank; at += kExpandThreads) {
      const uint32_t r = at / run.rank, i = at % run.rank;
      const float* part = op.partials + uint64_t{run.first + r} * op.splits * op.cap + i;
      float sum = 0.0f;
      for (uint32_t s = 0; s < op.splits; ++s) sum += part[uint64_t{s} * op.cap];
      middle[r * op.cap + i] = sum;
    }
    __syncthreads();
    if (n < op.width) {
      float low[kTile] = {}, high[kTile] = {};
      const __half* b = op.b + uint64_t{run.rank ? run.slot : 0} * op.cap * op.stride + n;
#pragma unroll 4
      for (uint32_t i = 0; i < run.rank; ++i) {
        const float2 pair =
            __half22float2(*reinterpret_cast<const __half2*>(b + uint64_t{i} * op.stride));
#pragma unroll
        for (uint32_t r = 0; r < kTile; ++r) {
          if (r >= count) break;
          low[r] += middle[r * op.cap + i] * pair.x;
          high[r] += middle[r * op.cap + i] * pair.y;
        }
      }
#pragma unroll
      for (uint32_t r = 0; r < kTile; ++r) {
        if (r >= count) break;
        const uint64_t at = uint64_t{run.first + r} * op.width + n;
        const float first_of = start_of(op, run.slot, at, n);
        op.result[at] = run.rank ? first_of + low[r] : first_of;
        if (n + 1 >= op.width) continue;
        const float second = start_of(op, run.slot, at + 1, n + 1);
        op.result[at + 1] = run.rank ? second + high[r] : second;
      }
    }
    __syncthreads();
  }
}

template <uint32_t kTile>
void launch_tiles(const LowRank& op, const Launch& launch) {
  const uint32_t tiles = (launch.max_rows(op.extent) + kTile - 1) / kTile;
  run_kernel(low_rank_shrink<kTile>, dim3(op.cap / 32, op.splits, tiles), kWarps * 32,
             launch.stream, op, launch.step);
  const uint32_t columns = (op.width + 2 * kExpandThreads - 1) / (2 * kExpandThreads);
  run_kernel(low_rank_expand<kTile>, dim3(columns, tiles), kExpandThreads, launch.stream, op,
             launch.step);
}

}  // namespace

// Few rows are replies, each perhaps with an adapter of its own, so that they run side by side.
void low_rank(const LowRank& op, const Launch& launch) {
  if (op.row_by_row || launch.max_rows(op.extent) <= 8)
    launch_tiles<1>(op, launch);
  else
    launch_tiles<8>(op, launch);
}

}  // namespace ropewalk::cuda
