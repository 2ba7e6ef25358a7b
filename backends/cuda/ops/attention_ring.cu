// Decoding from an f16 cache, as attention_split.cu, but keys and values come through a ring in
// shared memory, so that the bytes in flight do not depend on registers. Grid (heads / those
// together, rows, runs), 4 warps, each with a ring of its own. Bottleneck: memory.
//
// A chunk is as many keys as a warp multiplies at once, with their values: 8 keys of 128
// dimensions, 2 KiB each. Chunks are aligned, so each lies in one piece in a page. The warps take
// them alternately:
//
//   keys    .. | begin .. | .. | .. | .. end | ..      what lies outside of the run is not counted
//   warp         0          1    2    3
//
// A thread block has 64 KiB of stages. Keys that no kernel of this step writes are requested while
// the kernel in front, which appends the newest, still runs.
#include "backends/cuda/ops/attention_groups.cuh"

namespace ropewalk::cuda {
namespace {

constexpr uint32_t kElements = 8;
constexpr uint32_t kStages = 4;
constexpr uint32_t kHalf = kAtOnce * 32 * 16, kStageBytes = 2 * kHalf;  // keys, then values
constexpr uint32_t kRingBytes = kStages * kStageBytes;

// Once all stages have been read, the partial results of the warps lie in their place. Two thread
// blocks leave room for one of the product behind them, which starts meanwhile.
struct SharedRoom {
  uint32_t barriers, end;
};
static_assert(sizeof(WarpPartials<4, kMaxSplitDim>) <= kAttentionWarps * kRingBytes);
RW_HOST_DEVICE SharedRoom room_of(Copies copies) {
  const uint32_t barriers = kAttentionWarps * kRingBytes;
  return {barriers, barriers + (copies == Copies::bulk ? kAttentionWarps * kStages * 8 : 0)};
}

// Stages of a warp, filled and read in a circle.
template <Copies kCopies>
class KeyRing {
 public:
  __device__ __forceinline__ KeyRing(std::byte* memory, Barrier* barriers)
      : memory_(memory), barriers_(barriers) {
    if constexpr (kCopies == Copies::bulk) {
      if (lane() == 0) {
        for (uint32_t s = 0; s < kStages; ++s) begin_barrier(barriers_[s], 2);
        fence_barriers();
      }
      __syncwarp();
    }
  }

  // Requests `bytes` of keys and of values into the next stage; none after the last chunk.
  // REQUIRES: all lanes; nobody reads the stage any more.
  __device__ __forceinline__ void request(const std::byte* keys, const std::byte* values,
                                          uint32_t bytes) {
    std::byte* to = memory_ + next_ * kStageBytes;
    if constexpr (kCopies == Copies::bulk) {
      if (bytes != 0 && lane() == 0) {
        copy_bulk(to, keys, bytes, barriers_[next_]);
        copy_bulk(to + kHalf, values, bytes, barriers_[next_]);
      }
    } else {
#pragma unroll
      for (uint32_t n = 0; n < kAtOnce; ++n)
        if (const uint32_t at = (n * 32 + lane()) * 16; at < bytes) {
          start_copy_16(to + at, keys + at);
          start_copy_16(to + kHalf + at, values + at);
        }
      commit_copies();
    }
    next_ = (next_ + 1) % kStages;
  }

  // Waits for the oldest stage, for all lanes.
  __device__ __forceinline__ const std::byte* wait() {
    if constexpr (kCopies == Copies::bulk) {
      wait_for(barriers_[oldest_], parity_);
    } else {
      wait_for_groups<kStages - 1>();
      __syncwarp();
    }
    return memory_ + oldest_ * kStageBytes;
  }
  // Call when no lane reads the oldest stage any more.
  __device__ __forceinline__ void release() {
    __syncwarp();
    oldest_ = (oldest_ + 1) % kStages;
    if (oldest_ == 0) parity_ ^= 1;
  }

 private:
  static __device__ __forceinline__ uint32_t lane() { return threadIdx.x % 32; }

  std::byte* memory_;
  Barrier* barriers_;
  uint32_t next_ = 0, oldest_ = 0, parity_ = 0;
};

// The lane's fragment of a key or value of a chunk.
template <abi::DType kType>
__device__ __forceinline__ Loaded<kType> fragment_of(const std::byte* chunk, const Group& group,
                                                     uint32_t key, uint32_t head_dim) {
  Loaded<kType> loaded{{0, 0, 0, 0}, 1.0f};
  if (group.active)
    loaded.words = *reinterpret_cast<const uint4*>(chunk + (key * head_dim + group.first) * 2);
  return loaded;
}

template <Copies kCopies, uint32_t kHeads>
__device__ __forceinline__ void run(const Attention& op, const StepView& step) {
  if (op.lets_next_at_begin) let_next_kernel_start();
  // find the run; a step's inputs are there before its first kernel begins
  const uint32_t r = first_row_of(op, step) + blockIdx.y, first_head = blockIdx.x * kHeads;
  const uint32_t rows = rows_of(step, Extent::rows);
  KeysOfRow keys{0, 0};
  if (r < rows) keys = keys_of_row(op, step, r);
  const uint32_t each = keys_of_run(op, keys.count());
  const uint32_t begin = keys.first + blockIdx.z * each, end = min(begin + each, keys.end);
  if (begin >= keys.end) return wait_for_kernel_before();
  const uint32_t d = op.keys.head_dim, warp = threadIdx.x / 32, sequence = step.sequence[r];
  const uint32_t kv_head = first_head / (op.heads / op.keys.kv_heads);
  const Group group = group_of<kElements>(d);

  // the warp's chunks
  const uint32_t of_chunk = group.count * kAtOnce, base = begin / of_chunk * of_chunk;
  const uint32_t all = (end - base + of_chunk - 1) / of_chunk;
  const uint32_t count = (all + kAttentionWarps - 1 - warp) / kAttentionWarps;
  const auto first_of = [&](uint32_t i) { return base + (i * kAttentionWarps + warp) * of_chunk; };
  std::byte* shared = dynamic_shared();
  KeyRing<kCopies> ring(
      shared + warp * kRingBytes,
      reinterpret_cast<Barrier*>(shared + room_of(kCopies).barriers) + warp * kStages);
  uint32_t requested = 0;
  const auto request = [&] {
    const uint32_t j = requested < count ? first_of(requested) : base;
    ring.request(entry_at(op.keys, step, sequence, kv_head, j).elements,
                 entry_at(op.values, step, sequence, kv_head, j).elements,
                 requested < count ? of_chunk * d * 2 : 0);
    ++requested;
    if (requested >= count) let_next_kernel_start();
  };
  while (requested < min(count, kStages) &&
         known_before_step(first_of(requested) + of_chunk, keys.end, rows))
    request();
  wait_for_kernel_before();
  while (requested < kStages) request();

  float q[kHeads][kElements];
  OnlineSoftmax<kElements> softmax[kHeads];
  load_queries<kHeads, kElements>(op, group, r, first_head, q);
  for (uint32_t i = 0; i < count; ++i) {
    const std::byte* chunk = ring.wait();
    Loaded<abi::DType::f16> k[kAtOnce], v[kAtOnce];
#pragma unroll
    for (uint32_t n = 0; n < kAtOnce; ++n) {
      k[n] = fragment_of<abi::DType::f16>(chunk, group, n * group.count + group.number, d);
      v[n] = fragment_of<abi::DType::f16>(chunk + kHalf, group, n * group.count + group.number, d);
    }
    ring.release();
    request();
    attend_to<abi::DType::f16, kHeads, kElements>(
        op, group, {first_of(i) + group.number, group.count, begin, end}, k, v, q, softmax);
  }

  __syncthreads();  // all stages have been read: the partial results take their place
  join_all<kHeads, kElements>(op, group, softmax,
                              *reinterpret_cast<WarpPartials<kHeads, kMaxSplitDim>*>(shared),
                              first_head);
  combine_if_last<kHeads>(op, r, runs_of(op, keys), first_head);
}

template <Copies kCopies, uint32_t kHeads>
__global__ void __launch_bounds__(kAttentionWarps * 32)
    attention_ring_kernel(const Attention op, const StepView step) {
  if constexpr (has_copies(kCopies)) run<kCopies, kHeads>(op, step);
}

template <Copies kCopies>
void launch_as(const Attention& op, const Launch& launch) {
  const uint32_t together = heads_together(op.heads, op.keys);
  const LaunchShape shape{dim3(op.heads / together, launch.rows, op.splits), kAttentionWarps * 32,
                          room_of(kCopies).end, op.start, launch.stream};
  if (together == 4)
    run_kernel_in(attention_ring_kernel<kCopies, 4>, shape, op, launch.step);
  else if (together == 2)
    run_kernel_in(attention_ring_kernel<kCopies, 2>, shape, op, launch.step);
  else
    run_kernel_in(attention_ring_kernel<kCopies, 1>, shape, op, launch.step);
}

}  // namespace

bool can_ring(const Cache& keys, Copies copies, uint32_t shared_bytes) {
  uint32_t lanes = 1;
  while (lanes * kElements < keys.head_dim) lanes *= 2;
  const uint32_t of_chunk = 32 / lanes * kAtOnce;
  return copies != Copies::none && keys.dtype == abi::DType::f16 && lanes <= 16 &&
         keys.head_dim % kElements == 0 && (1u << keys.page_shift) % of_chunk == 0 &&
         room_of(copies).end + 64 <= shared_bytes;
}

void attention_ring(const Attention& op, const Launch& launch) {
  with_copies(op.copies, [&]<Copies kCopies>() {
    if constexpr (kCopies != Copies::none) launch_as<kCopies>(op, launch);
  });
  if (!op.counters) attention_combine(op, launch);
}

}  // namespace ropewalk::cuda
