// Decoding: o = softmax(q . k[j] scale) v[j] over a run of the keys of a row, for 1, 2 or 4 heads
// that read the same keys and values. Grid (heads / that number, rows, runs), 4 warps. The last
// thread block of its heads combines their runs in order, or another kernel does. Bottleneck:
// memory, keys and values.
//
// Lanes read keys and values from memory, 4 keys in flight for each group of lanes
// (attention_groups.cuh).
#include "backends/cuda/ops/attention_groups.cuh"

namespace ropewalk::cuda {
namespace {

template <abi::DType kType>
__device__ __forceinline__ Loaded<kType> load(const Cache& cache, const StepView& step,
                                              const Group& group, uint32_t sequence, uint32_t head,
                                              uint32_t position) {
  const Entry entry = entry_at(cache, step, sequence, head, position);
  constexpr uint32_t kBytes = kType == abi::DType::i8 ? 1 : 2;
  Loaded<kType> loaded{{0, 0, 0, 0}, 1.0f};
  if (group.active)
    loaded.words = *reinterpret_cast<const uint4*>(entry.elements + group.first * kBytes);
  if constexpr (kType == abi::DType::i8) loaded.scale = __half2float(*entry.scale);
  return loaded;
}

// The keys of a group of lanes: `sequence` and `head` of the cache, and which.
struct KeyRange : KeysAtOnce {
  uint32_t sequence, head;
};

template <abi::DType kType, uint32_t kHeads, uint32_t kElements>
__device__ __forceinline__ void attend(const Attention& op, const StepView& step,
                                       const Group& group, const KeyRange& range,
                                       const float (&q)[kHeads][kElements],
                                       OnlineSoftmax<kElements> (&softmax)[kHeads]) {
  Loaded<kType> k[kAtOnce], v[kAtOnce];
#pragma unroll
  for (uint32_t n = 0; n < kAtOnce; ++n) {
    // Beyond the end load the last key again; it is not counted.
    const uint32_t j = min(range.first + n * range.stride, range.end - 1);
    k[n] = load<kType>(op.keys, step, group, range.sequence, range.head, j);
    v[n] = load<kType>(op.values, step, group, range.sequence, range.head, j);
  }
  attend_to<kType, kHeads, kElements>(op, group, range, k, v, q, softmax);
}

template <abi::DType kType, uint32_t kHeads>
__global__ void __launch_bounds__(kAttentionWarps * 32)
    attention_split_kernel(const Attention op, const StepView step) {
  constexpr uint32_t kElements = kType == abi::DType::i8 ? 16 : 8;
  __shared__ WarpPartials<kHeads, kMaxSplitDim> warps;
  let_next_kernel_start();
  const uint32_t r = first_row_of(op, step) + blockIdx.y, first_head = blockIdx.x * kHeads;
  if (r >= rows_of(step, Extent::rows)) return;
  const KeysOfRow keys = keys_of_row(op, step, r);
  const uint32_t each = keys_of_run(op, keys.count());
  const uint32_t begin = keys.first + blockIdx.z * each, end = min(begin + each, keys.end);
  if (begin >= keys.end) return;
  const uint32_t d = op.keys.head_dim, warp = threadIdx.x / 32;
  const Group group = group_of<kElements>(d);

  float q[kHeads][kElements];
  OnlineSoftmax<kElements> softmax[kHeads];
  load_queries<kHeads, kElements>(op, group, r, first_head, q);
  KeyRange range{{0, kAttentionWarps * group.count, 0, end},
                 step.sequence[r],
                 first_head / (op.heads / op.keys.kv_heads)};
  // All lanes of a warp take the same number of rounds.
  for (uint32_t j = begin + warp * group.count; j < end; j += range.stride * kAtOnce) {
    range.first = j + group.number;
    attend<kType, kHeads, kElements>(op, step, group, range, q, softmax);
  }

  join_all<kHeads, kElements>(op, group, softmax, warps, first_head);
  combine_if_last<kHeads>(op, r, runs_of(op, keys), first_head);
}

template <abi::DType kType, uint32_t kHeads>
void launch_as(const Attention& op, const Launch& launch) {
  const dim3 grid(op.heads / kHeads, launch.rows, op.splits);
  run_kernel(attention_split_kernel<kType, kHeads>, grid, kAttentionWarps * 32, launch.stream, op,
             launch.step);
}

}  // namespace

void attention_split(const Attention& op, const Launch& launch) {
  const uint32_t together = heads_together(op.heads, op.keys);
  if (op.keys.dtype == abi::DType::i8)
    together == 1 ? launch_as<abi::DType::i8, 1>(op, launch)
                  : launch_as<abi::DType::i8, 2>(op, launch);
  else if (together == 4)
    launch_as<abi::DType::f16, 4>(op, launch);
  else
    together == 1 ? launch_as<abi::DType::f16, 1>(op, launch)
                  : launch_as<abi::DType::f16, 2>(op, launch);
  if (!op.counters) attention_combine(op, launch);
}

}  // namespace ropewalk::cuda
