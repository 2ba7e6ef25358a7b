// Prompts: o = softmax(q . k[j] scale) v[j] over the keys j of a row, 64 rows of a head at a time.
// Grid (heads, rows / 64), 4 warps of 16 rows each. Keys and values pass through shared memory in
// tiles of 64. Tensor cores compute both products in f16 with f32 sums; the softmax is online, in
// f32 and in powers of two. Bottleneck: tensor cores and exponentials.
//
// Rows of several sequences may share a tile of rows. The kernel then goes through the keys of one
// sequence after another, and stores only the rows of that sequence: a NaN key corrupts the other
// rows of the warp's 16 too (0 * NaN = NaN). Rows that are alone in their sequence are left to
// another kernel. The next keys are copied while the current tile is weighted, the values while the
// scores are computed. The technique is that of FlashAttention-2.
#include "backends/cuda/kernel/mma.cuh"
#include "backends/cuda/ops/prompts/attention_rows.cuh"

namespace ropewalk::cuda {
namespace {

constexpr uint32_t kWarps = 4, kTileThreads = kWarps * 32;
constexpr uint32_t kRows = kWarps * 16, kKeys = 64;

// The pitch is 16 bytes more than a multiple of 128, so that 8 rows lie in different banks.
template <uint32_t kDim>
struct Tile {
  static constexpr uint32_t kPitch = kDim + 8;
  alignas(16) __half rows[kKeys * kPitch];
};

// The entries of a tile's keys, by row: a page holds all of them or, if it has 32 tokens, a half.
constexpr uint32_t kHalf = kKeys / 2;
struct TileEntries {
  Entry low, high;  // rows below kHalf, and those from it on; both count from row 0

  __device__ __forceinline__ const Entry& of(uint32_t row) const {
    return row < kHalf ? low : high;
  }
};

// A half that begins at the end of the keys is never read.
__device__ __forceinline__ TileEntries tile_entries(const Cache& cache, const StepView& step,
                                                    uint32_t sequence, uint32_t head, uint32_t key,
                                                    uint32_t end) {
  const Entry low = entry_at(cache, step, sequence, head, key);
  if (1u << cache.page_shift != kHalf || key + kHalf >= end) return {low, low};
  const Entry high = entry_at(cache, step, sequence, head, key + kHalf);
  const uint32_t entry_bytes = cache.head_dim * (cache.dtype == abi::DType::i8 ? 1 : 2);
  return {low, {high.elements - kHalf * entry_bytes, high.scale - kHalf}};
}

// The largest power of two that is not above the max scale of `count` entries of an int8 cache. In
// units of it all values fit f16; without it 127 times a scale may exceed 65504. The same in every
// warp.
template <abi::DType kType>
__device__ __forceinline__ float unit_of(const TileEntries& entries, uint32_t count) {
  if constexpr (kType == abi::DType::f16) return 1.0f;
  float max = 0.0f;
  for (uint32_t row = threadIdx.x % 32; row < min(count, kKeys); row += 32)
    max = fmaxf(max, __half2float(entries.of(row).scale[row]));
  const uint32_t exponent = __float_as_uint(warp_max(max)) >> 23;
  return exponent == 0 || exponent == 255 ? 1.0f : __uint_as_float(exponent << 23);
}

// Stages 64 keys or values of a head, in units of `unit`. Beyond `count` and beyond the dimensions
// of the head it writes 0: the memory there may hold NaN.
template <abi::DType kType, uint32_t kDim>
__device__ __forceinline__ void stage(const Cache& cache, const TileEntries& entries,
                                      uint32_t count, float unit, Tile<kDim>& to) {
  constexpr uint32_t kParts = kDim / 8;
  for (uint32_t i = threadIdx.x; i < kKeys * kParts; i += kTileThreads) {
    const uint32_t row = i / kParts, part = i % kParts;
    const Entry& entry = entries.of(row);
    __half* at = to.rows + row * Tile<kDim>::kPitch + part * 8;
    if (row >= count || part * 8 >= cache.head_dim) {
      *reinterpret_cast<uint4*>(at) = uint4{0, 0, 0, 0};
    } else if constexpr (kType == abi::DType::f16) {
      copy_16(at, entry.elements + (uint64_t{row} * cache.head_dim + part * 8) * 2);
    } else {
      const uint2 codes = *reinterpret_cast<const uint2*>(
          entry.elements + uint64_t{row} * cache.head_dim + part * 8);
      const float scale = __half2float(entry.scale[row]) / unit;
      const auto value = [&](uint32_t word, uint32_t byte) {
        return static_cast<float>(static_cast<int8_t>(word >> 8 * byte)) * scale;
      };
      const auto pair = [&](uint32_t word, uint32_t byte) {
        return bits_of(__floats2half2_rn(value(word, byte), value(word, byte + 1)));
      };
      *reinterpret_cast<uint4*>(at) =
          uint4{pair(codes.x, 0), pair(codes.x, 2), pair(codes.y, 0), pair(codes.y, 2)};
    }
  }
}

// A lane's fragment of its warp's 16 rows: the rows g and g + 8, as mma.cuh draws them.
template <uint32_t kDim>
struct State : WeightedRows<kDim> {
  uint32_t q[kDim / 16][4];
};

template <bool kHalves, uint32_t kDim>
__device__ __forceinline__ void load_queries(const Attention& op, uint32_t first, uint32_t end,
                                             State<kDim>& state) {
  const uint32_t lane = threadIdx.x % 32, d = op.keys.head_dim;
#pragma unroll
  for (uint32_t k = 0; k < kDim / 16; ++k)
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) {
      const uint32_t r = first + query_row(lane, i), at = query_dim(lane, k, i);
      state.q[k][i] = 0;
      if (r >= end || at >= d) continue;
      const uint64_t place = (uint64_t{r} * op.heads + blockIdx.x) * d + at;
      if constexpr (kHalves) {
        state.q[k][i] = reinterpret_cast<const uint32_t*>(op.q)[place / 2];
      } else {
        const float2 pair = *reinterpret_cast<const float2*>(op.q + place);
        state.q[k][i] = bits_of(__floats2half2_rn(pair.x, pair.y));
      }
    }
}

// Scores of the warp's rows with a tile of keys; scores[n] has the keys 8n .. 8n+7.
template <uint32_t kDim>
__device__ __forceinline__ void make_scores(const State<kDim>& state, const Tile<kDim>& keys,
                                            float (&scores)[kKeys / 8][4]) {
  const uint32_t lane = threadIdx.x % 32;
#pragma unroll
  for (uint32_t n = 0; n < kKeys / 8; ++n) {
#pragma unroll
    for (float& score : scores[n]) score = 0.0f;
#pragma unroll
    for (uint32_t k = 0; k < kDim / 32; ++k) {
      uint32_t b[4];  // for two instructions
      load_matrices(b, keys.rows + key_row(lane, n) * Tile<kDim>::kPitch + key_dim(lane, k));
      multiply_add(scores[n], state.q[2 * k], {b[0], b[1]});
      multiply_add(scores[n], state.q[2 * k + 1], {b[2], b[3]});
    }
  }
}

// o += weights . values. The fragments of two tiles of 8 keys are the left operand as they are.
template <uint32_t kDim>
__device__ __forceinline__ void add_values(const float (&weights)[kKeys / 8][4],
                                           const Tile<kDim>& values, State<kDim>& state) {
  const uint32_t lane = threadIdx.x % 32;
#pragma unroll
  for (uint32_t k = 0; k < kKeys / 16; ++k) {
    uint32_t a[4];
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) a[i] = weight_register(weights, k, i);
#pragma unroll
    for (uint32_t n = 0; n < kDim / 16; ++n) {
      uint32_t b[4];  // for two instructions of 8 dimensions each
      load_transposed(b,
                      values.rows + value_row(lane, k) * Tile<kDim>::kPitch + value_dim(lane, n));
      multiply_add(state.o[2 * n], a, {b[0], b[1]});
      multiply_add(state.o[2 * n + 1], a, {b[2], b[3]});
    }
  }
}

// Goes through all keys of one sequence, for its rows [begin, stop) of the tile.
template <abi::DType kType, uint32_t kDim>
__device__ __forceinline__ void attend(const Attention& op, const StepView& step, uint32_t begin,
                                       uint32_t stop, uint32_t first, Tile<kDim>& keys,
                                       Tile<kDim>& values, State<kDim>& state) {
  const uint32_t lane = threadIdx.x % 32, sequence = step.sequence[begin];
  const uint32_t kv_head = blockIdx.x / (op.heads / op.keys.kv_heads);
  const uint32_t all = step.position[stop - 1] + 1;
  KeysOfRow row_keys[2];
  for (uint32_t half = 0; half < 2; ++half) {
    const uint32_t r = first + score_row(lane, 2 * half);
    row_keys[half] = r >= begin && r < stop ? keys_of_row(op, step, r) : KeysOfRow{0, 0};
  }
  // Positions increase from row to row: the warp's last row says whether any sees a key of the
  // tile.
  const uint32_t last = min(first + 16, stop);
  const uint32_t warp_limit = last > max(begin, first) ? step.position[last - 1] + 1 : 0;

  const auto stage_at = [&](const Cache& cache, uint32_t key, Tile<kDim>& to) {
    const TileEntries entries = tile_entries(cache, step, sequence, kv_head, key, all);
    const float unit = unit_of<kType>(entries, all - key);
    stage<kType>(cache, entries, all - key, unit, to);
    return unit;
  };
  // Tiles of keys begin at multiples of their size.
  const uint32_t first_key = first_key_of(op, step.position[begin]) / kKeys * kKeys;
  float key_unit = stage_at(op.keys, first_key, keys);
  for (uint32_t key = first_key; key < all; key += kKeys) {
    wait_for_copies();
    __syncthreads();
    const TileOfKeys at{key, op.params.scale * kLog2E * key_unit, stage_at(op.values, key, values)};
    float scores[kKeys / 8][4];
    const bool sees = key < warp_limit;
    if (sees) make_scores(state, keys, scores);
    wait_for_copies();
    __syncthreads();
    if (key + kKeys < all) key_unit = stage_at(op.keys, key + kKeys, keys);
    if (!sees) continue;
    cap(op, at.scale, scores);
    state.scale(weigh<Seen::some>(scores, row_keys, at, state));
    add_values(scores, values, state);
  }
  __syncthreads();
}

// Without the 2 the compiler spills 12 bytes for a third thread block on Turing.
template <abi::DType kType, uint32_t kDim, bool kHalves>
__global__ void __launch_bounds__(kTileThreads, 2)
    attention_tiles_kernel(const Attention op, const StepView step, float* y) {
  __shared__ Tile<kDim> keys, values;
  const uint32_t tile = blockIdx.y * kRows, rows = prompt_rows_of(step);
  if (tile >= rows) return;
  const uint32_t end = min(tile + kRows, rows), first = tile + threadIdx.x / 32 * 16;
  State<kDim> state;
  load_queries<kHalves>(op, first, end, state);
  for (uint32_t begin = tile, stop; begin < end; begin = stop) {
    stop = begin + 1;
    while (stop < end && step.sequence[stop] == step.sequence[begin]) ++stop;
    state.clear();
    attend<kType>(op, step, begin, stop, first, keys, values, state);
    store_rows<kHalves>(op, first, begin, stop, state, y);
  }
}

template <abi::DType kType, bool kHalves>
void launch_as(const Attention& op, const Launch& launch, float* y) {
  const dim3 grid(op.heads, (launch.rows + kRows - 1) / kRows);
  if (op.keys.head_dim <= 64)
    run_kernel(attention_tiles_kernel<kType, 64, kHalves>, grid, kTileThreads, launch.stream, op,
               launch.step, y);
  else
    run_kernel(attention_tiles_kernel<kType, 128, kHalves>, grid, kTileThreads, launch.stream, op,
               launch.step, y);
}

}  // namespace

void attention_tiles(const Attention& op, const Launch& launch) {
  const uint32_t width = op.heads * op.keys.head_dim;
  float* y = op.order ? op.partials : op.y;
  if (op.keys.dtype == abi::DType::i8)
    launch_as<abi::DType::i8, false>(op, launch, y);
  else if (op.halves)
    launch_as<abi::DType::f16, true>(op, launch, y);
  else
    launch_as<abi::DType::f16, false>(op, launch, y);
  if (op.order) permute({y, op.order, op.y, width, Extent::rows}, launch);
}

}  // namespace ropewalk::cuda
