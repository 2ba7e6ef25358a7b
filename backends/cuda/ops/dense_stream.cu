// The formula of dense_matmul.cu for 1 or 2 rows and a depth in whole blocks of 256: lm_head while
// one or two replies are written. Grid: one wave, a thread block of 8 warps on each multiprocessor.
// A warp streams its share of the columns, which lie one after another in memory, through a ring of
// its own (gptq/lean/ring.cuh); x lies in shared memory as f32. Bottleneck: memory.
//
// A block of a column is 512 bytes, 8 elements a lane. So that the lanes' loads of x do not meet in
// a bank, the elements 0 to 3 of all lanes lie side by side, and behind them the elements 4 to 7:
//
//   x of a block   | lane 0: 0..3 | lane 1: 0..3 | .. | lane 0: 4..7 | lane 1: 4..7 | .. |
#include "backends/cuda/gptq/lean/ring.cuh"
#include "backends/cuda/ops/device.cuh"

namespace ropewalk::cuda {
namespace {

using gptq::kChunk;
using gptq::kLeanThreads;
using gptq::kLeanWarps;

constexpr uint32_t kElements = 8, kBlock = kDenseBlock, kBlockBytes = kBlock * 2;

// Offsets in bytes of shared memory: the rings, x, the barriers.
struct SharedRoom {
  uint32_t x, barriers, end;
};
RW_HOST_DEVICE SharedRoom room_of(Copies copies, uint32_t rows, uint32_t depth) {
  const uint32_t stages = kLeanWarps * gptq::stages_of(copies);
  const uint32_t x = stages * kChunk * kBlockBytes, barriers = x + rows * depth * 4;
  return {x, barriers, barriers + stages * 8};
}

// The place of element k in a row of x.
__device__ __forceinline__ uint32_t place_of(uint32_t k) {
  const uint32_t lane = k % kBlock / kElements, i = k % kElements;
  return k / kBlock * kBlock + i / 4 * (kBlock / 2) + lane * 4 + i % 4;
}

template <Copies kCopies>
__device__ __forceinline__ uint4 load_eight(const std::byte* block) {
  const auto* at = reinterpret_cast<const uint4*>(block) + threadIdx.x % 32;
  if constexpr (kCopies == Copies::none) return __ldcs(at);
  return *at;
}

__device__ __forceinline__ float2 floats_of(uint32_t pair, __half) {
  return __half22float2(*reinterpret_cast<const __half2*>(&pair));
}
// A bf16 is the upper half of a float.
__device__ __forceinline__ float2 floats_of(uint32_t pair, __nv_bfloat16) {
  return {__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000u)};
}

// Adds a block of a column to the lane's sums; `x` is the block's, of the first row.
template <class Element, uint32_t kRows>
__device__ __forceinline__ void add_block(const uint4& w, const float* x, uint32_t depth,
                                          float (&sums)[kRows]) {
  const uint32_t words[4] = {w.x, w.y, w.z, w.w}, lane = threadIdx.x % 32;
#pragma unroll
  for (uint32_t half = 0; half < 2; ++half) {
    const float2 a = floats_of(words[2 * half], Element{}),
                 b = floats_of(words[2 * half + 1], Element{});
#pragma unroll
    for (uint32_t r = 0; r < kRows; ++r) {
      const auto four = *reinterpret_cast<const float4*>(x + uint64_t{r} * depth +
                                                         half * (kBlock / 2) + lane * 4);
      sums[r] = fmaf(a.x, four.x, fmaf(a.y, four.y, fmaf(b.x, four.z, fmaf(b.y, four.w, sums[r]))));
    }
  }
}

template <Copies kCopies, class Element, uint32_t kRows>
__device__ __forceinline__ void run(const DenseMatmul& op, const StepView& step) {
  let_next_kernel_start();
  const SharedRoom room = room_of(kCopies, kRows, op.depth);
  std::byte* shared = dynamic_shared();
  auto* x = reinterpret_cast<float*>(shared + room.x);
  const uint32_t in_block = threadIdx.x / 32, lane = threadIdx.x % 32;
  // request the first weights of the warp's columns, which no kernel writes
  const uint32_t blocks = op.depth / kBlock, stages = gptq::stages_of(kCopies);
  const gptq::Range columns =
      gptq::part_at(op.width, gridDim.x * kLeanWarps, blockIdx.x * kLeanWarps + in_block);
  const auto column_at = [&](uint32_t n) { return op.weight + uint64_t{n} * op.depth * 2; };
  gptq::Ring<kCopies, kBlockBytes, decltype(column_at)> ring(
      shared + in_block * stages * kChunk * kBlockBytes,
      reinterpret_cast<Barrier*>(shared + room.barriers) + in_block * stages,
      {gptq::Share{columns.begin * blocks, columns.count * blocks}, blocks, column_at}, 0);

  // wait for earlier kernels, then copy x
  wait_for_kernel_before();
  const uint32_t rows = min(rows_of(step, op.extent), kRows);
  for (uint32_t k = threadIdx.x * 4; k < rows * op.depth; k += kLeanThreads * 4)
    *reinterpret_cast<float4*>(x + place_of(k)) = __ldcg(reinterpret_cast<const float4*>(op.x + k));
  __syncthreads();

  // multiply column after column
  for (uint32_t n = columns.begin; n < columns.begin + columns.count; ++n) {
    float sums[kRows] = {};
    for (uint32_t block = 0; block < blocks; block += kChunk) {
      const std::byte* chunk = ring.wait();
#pragma unroll
      for (uint32_t b = 0; b < kChunk; ++b)
        if (block + b < blocks)
          add_block<Element, kRows>(load_eight<kCopies>(chunk + b * kBlockBytes),
                                    x + (block + b) * kBlock, op.depth, sums);
      ring.release();
    }
#pragma unroll
    for (uint32_t r = 0; r < kRows; ++r) {
      const float sum = warp_sum(sums[r]);
      if (lane == 0 && r < rows)
        op.y[uint64_t{r} * op.width + n] = sum + (op.bias ? op.bias[n] : 0.0f);
    }
  }
}

template <Copies kCopies, class Element, uint32_t kRows>
__global__ void __launch_bounds__(kLeanThreads, 2)
    dense_stream_kernel(const __grid_constant__ DenseMatmul op, const StepView step) {
  if constexpr (has_copies(kCopies)) run<kCopies, Element, kRows>(op, step);
}

template <class Element>
void launch_as(const DenseMatmul& op, const DenseStream& how, const Launch& launch) {
  with_copies(how.copies, [&]<Copies kCopies>() {
    const uint32_t rows = launch.max_rows(op.extent);
    const LaunchShape shape{how.thread_blocks, kLeanThreads, room_of(kCopies, rows, op.depth).end,
                            how.start, launch.stream};
    if (rows == 1)
      run_kernel_in(dense_stream_kernel<kCopies, Element, 1>, shape, op, launch.step);
    else
      run_kernel_in(dense_stream_kernel<kCopies, Element, 2>, shape, op, launch.step);
  });
}

}  // namespace

bool can_stream(const DenseMatmul& op, uint32_t rows, const DenseStream& stream,
                uint32_t shared_bytes) {
  return rows <= kMaxStreamRows && op.dtype != abi::DType::f32 && op.depth % kDenseBlock == 0 &&
         room_of(stream.copies, rows, op.depth).end <=
             std::min(shared_bytes, gptq::kMaxSharedBytes);
}

void dense_stream(const DenseMatmul& op, const DenseStream& stream, const Launch& launch) {
  if (op.dtype == abi::DType::f16)
    launch_as<__half>(op, stream, launch);
  else
    launch_as<__nv_bfloat16>(op, stream, launch);
}

}  // namespace ropewalk::cuda
