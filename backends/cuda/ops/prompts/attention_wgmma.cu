// Prompts on Hopper: o = softmax(q . k[j] scale) v[j] over the keys j of a row, for heads of 128
// and an f16 cache, 128 rows of a head at a time. Beside attention_tiles.cu, with the same
// arithmetic; the option attention=wgmma chooses it. No GPU has run it yet.
//
// Grid (heads, rows / 128), the longest rows first. Two warpgroups of 64 rows each multiply; a
// ninth warp requests tiles of 128 keys and 128 values, which the copy engine swizzles on their way
// (kernel/wgmma_layout.h). Bottleneck: tensor cores, 2048 clocks a tile at 4096 operations a clock;
// exponentials take half as long at 16 a clock, and overlap with the product in flight.
//
//   shared memory, 160 KiB: | queries | keys 0 | keys 1 | values 0 | values 1 |  barriers
//   each 32 KiB, two panels: | rows 0 .. 127, dimensions 0 .. 63 | the same rows, 64 .. 127 |
//
//   copies       keys j+1          values j ..
//   products     q . keys j        weights j-1 . values j-1  | q . keys j+1   ..
//   registers                      weights j from scores j   | o *= factor    ..
//
// So the values are one tile late, and o is scaled once their product has ended. A barrier signals
// that a tile has come, another that all eight warps have done with it.
//
// The warpgroups alternate, so that one computes weights while the other's products run. Each has
// one turn for every tile, whether it sees the tile or passes it:
//
//   warpgroup 0   | starts products | weights         | starts products | weights ..
//   warpgroup 1                     | starts products | weights         | starts products ..
//
// Rows of several sequences may share a block of rows. As in attention_tiles.cu the kernel then
// goes through the keys of one sequence after another and stores that sequence's rows alone. What
// lies in a page behind the last key may be NaN: the ninth warp overwrites such values with 0.
// The technique is that of FlashAttention-3, whose named barriers are mbarriers here.
#include "backends/cuda/kernel/mma.cuh"
#include "backends/cuda/kernel/pipeline.cuh"
#include "backends/cuda/kernel/wgmma.cuh"
#include "backends/cuda/ops/prompts/attention_rows.cuh"

namespace ropewalk::cuda {
namespace {

constexpr uint32_t kDim = 128, kTileRows = 128, kTileKeys = 128, kBoxKeys = 64;
constexpr uint32_t kGroups = 2, kGroupRows = 64, kGroupThreads = 128;  // of a warpgroup
constexpr uint32_t kWarps = 8, kBlockThreads = kWarps * 32 + kGroupThreads;
constexpr uint32_t kStages = 2;
constexpr uint32_t kPanelBytes = kTileKeys * kPanelRowBytes, kTileBytes = 2 * kPanelBytes;
constexpr uint32_t kBoxBytes = kBoxKeys * kPanelRowBytes;
static_assert(kTileRows == kTileKeys && kDim == 2 * kPanelColumns);

// What is signalled: something has come, or all warps have done with it; or it is a warpgroup's
// turn to start products.
struct Barriers {
  Barrier queries, last_values, keys[kStages], keys_free[kStages], values[kStages],
      values_free[kStages], turn[kGroups];
};

struct Shared {
  std::byte *queries, *keys, *values;
  Barriers* barriers;

  static constexpr uint32_t kBarriersAt = (1 + 2 * kStages) * kTileBytes;
  static constexpr uint32_t kBytes = kAtomBytes + kBarriersAt + sizeof(Barriers);

  __device__ __forceinline__ Shared() : queries(dynamic_atoms()) {
    keys = queries + kTileBytes;
    values = keys + kStages * kTileBytes;
    barriers = reinterpret_cast<Barriers*>(queries + kBarriersAt);
  }
  // By one thread.
  __device__ __forceinline__ void begin() const {
    begin_barrier(barriers->queries, kWarps * 32);
    begin_barrier(barriers->last_values, 1);
    for (uint32_t s = 0; s < kStages; ++s) {
      begin_barrier(barriers->keys[s], 1);
      begin_barrier(barriers->values[s], 1);
      begin_barrier(barriers->keys_free[s], kWarps);
      begin_barrier(barriers->values_free[s], kWarps);
    }
    for (Barrier& turn : barriers->turn) begin_barrier(turn, kWarps / kGroups);
    fence_barriers();
  }
};

// The rows [begin, stop) of a sequence, and the keys [first_key, end_key) that some of them sees,
// from the first key of a box on.
struct Span {
  uint32_t begin, stop, sequence, first_key, end_key;

  __device__ __forceinline__ Span(const Attention& op, const StepView& step, uint32_t from,
                                  uint32_t end)
      : begin(from), stop(from + 1), sequence(step.sequence[from]) {
    while (stop < end && step.sequence[stop] == sequence) ++stop;
    first_key = first_key_of(op, step.position[begin]) / kBoxKeys * kBoxKeys;
    end_key = step.position[stop - 1] + 1;
  }
  __device__ __forceinline__ uint32_t tiles() const {
    return (end_key - first_key + kTileKeys - 1) / kTileKeys;
  }
};

// Requests the tile at `key` for `barrier`, by one thread: boxes of 64 keys and 64 dimensions, each
// in one page. A box behind the last key is left out.
__device__ __forceinline__ void request_tile(const Cache& cache, const TensorMap& map,
                                             const StepView& step, const Span& span, uint32_t key,
                                             std::byte* to, Barrier& barrier) {
  const PageLayout layout = page_layout(cache);
  const uint32_t head = blockIdx.x / (gridDim.x / cache.kv_heads);
  const uint32_t boxes = min((span.end_key - key + kBoxKeys - 1) / kBoxKeys, kTileKeys / kBoxKeys);
  expect_bytes(barrier, boxes * 2 * kBoxBytes);
#pragma unroll 1
  for (uint32_t b = 0; b < boxes; ++b, key += kBoxKeys, to += kBoxBytes) {
    const uint32_t page =
        step.page[uint64_t{span.sequence} * step.pages_per_sequence + (key >> cache.page_shift)];
    const uint64_t row = page * entries_of(layout) + entry_in_page(layout, head, key);
    copy_box(to, map, static_cast<uint32_t>(row), 0, barrier);
    copy_box(to + kPanelBytes, map, static_cast<uint32_t>(row), kPanelColumns, barrier);
  }
}

// Writes 0 to the rows of a tile from `first` on, by a warp. A row is permuted within itself.
__device__ __forceinline__ void clear_rows(std::byte* tile, uint32_t first) {
  constexpr uint32_t kChunks = kPanelRowBytes / 16;
  for (uint32_t i = first * kChunks + threadIdx.x % 32; i < kTileKeys * kChunks; i += 32) {
    reinterpret_cast<uint4*>(tile)[i] = uint4{0, 0, 0, 0};
    reinterpret_cast<uint4*>(tile + kPanelBytes)[i] = uint4{0, 0, 0, 0};
  }
}

// The ninth warp: requests the tiles of all sequences of the rows [begin, end).
__device__ __forceinline__ void request_all(const Attention& op, const StepView& step,
                                            const TensorMap& keys, const TensorMap& values,
                                            uint32_t begin, uint32_t end, const Shared& shared) {
  const bool first_lane = threadIdx.x % 32 == 0;
  Barriers& barriers = *shared.barriers;
  Place<kStages> place;
  uint32_t sequences = 0;
  for (; begin < end; ++sequences) {
    const Span span(op, step, begin, end);
    for (uint32_t key = span.first_key; key < span.end_key; key += kTileKeys, place.advance()) {
      const uint32_t s = place.stage;
      wait_for(barriers.keys_free[s], place.parity ^ 1);
      if (first_lane)
        request_tile(op.keys, keys, step, span, key, shared.keys + s * kTileBytes,
                     barriers.keys[s]);
      wait_for(barriers.values_free[s], place.parity ^ 1);
      std::byte* to = shared.values + s * kTileBytes;
      const bool last = key + kTileKeys >= span.end_key;
      if (first_lane)
        request_tile(op.values, values, step, span, key, to,
                     last ? barriers.last_values : barriers.values[s]);
      if (!last) continue;
      wait_for(barriers.last_values, sequences % 2);
      clear_rows(to, span.end_key - key);
      publish_shared();
      __syncwarp();
      if (first_lane) arrive(barriers.values[s]);
    }
    begin = span.stop;
  }
}

// Brings 64 rows of queries as f16 to the warpgroup's place; 0 behind the last row.
__device__ __forceinline__ void stage_queries(const Attention& op, uint32_t first, uint32_t end,
                                              const Shared& shared) {
  constexpr uint32_t kChunks = kDim / 8;
  const uint32_t group_row = threadIdx.x / kGroupThreads * kGroupRows;
  for (uint32_t i = threadIdx.x % kGroupThreads; i < kGroupRows * kChunks; i += kGroupThreads) {
    const uint32_t row = group_row + i / kChunks, dim = i % kChunks * 8;
    uint4 chunk = {0, 0, 0, 0};
    const uint32_t r = first + row;
    const uint64_t place = (uint64_t{r} * op.heads + blockIdx.x) * kDim + dim;
    if (r < end && op.halves) {
      chunk = reinterpret_cast<const uint4*>(op.q)[place / 8];
    } else if (r < end) {
      const auto* at = reinterpret_cast<const float4*>(op.q + place);
      const float4 low = at[0], high = at[1];
      chunk = {bits_of(__floats2half2_rn(low.x, low.y)), bits_of(__floats2half2_rn(low.z, low.w)),
               bits_of(__floats2half2_rn(high.x, high.y)),
               bits_of(__floats2half2_rn(high.z, high.w))};
    }
    *reinterpret_cast<uint4*>(shared.queries + dim / kPanelColumns * kPanelBytes +
                              panel_offset(row, dim % kPanelColumns)) = chunk;
  }
  publish_shared();
  arrive(shared.barriers->queries);
  wait_for(shared.barriers->queries, 0);
}

// A warpgroup's way through the tiles: keys lead, values follow.
class Consumer {
 public:
  __device__ __forceinline__ explicit Consumer(const Shared& shared)
      : barriers_(*shared.barriers),
        group_(warp_index() / (kWarps / kGroups)),
        queries_(shared_address(shared.queries) + group_ * kGroupRows * kPanelRowBytes),
        keys_(shared_address(shared.keys)),
        values_(shared_address(shared.values)),
        turn_parity_(group_ == 0) {}

  __device__ __forceinline__ void wait_for_keys() const {
    wait_for(barriers_.keys[key_place_.stage], key_place_.parity);
  }
  __device__ __forceinline__ void wait_for_values() const {
    wait_for(barriers_.values[value_place_.stage], value_place_.parity);
  }
  // The warpgroup's turn; the first begins.
  __device__ __forceinline__ void wait_for_turn() {
    wait_for(barriers_.turn[group_], turn_parity_);
    turn_parity_ ^= 1;
  }
  __device__ __forceinline__ void pass_turn() const {
    if (threadIdx.x % 32 == 0) arrive(barriers_.turn[group_ ^ 1]);
  }
  // scores = queries . keys
  __device__ __forceinline__ void start_scores(WgmmaSums& scores) const {
    const uint32_t keys = keys_ + key_place_.stage * kTileBytes;
    start_product<FirstSum::zero>(scores, along_rows(queries_, kPanelBytes, 0),
                                  along_rows(keys, kPanelBytes, 0));
#pragma unroll
    for (uint32_t k = 1; k < kDim / 16; ++k)
      start_product<FirstSum::given>(scores, along_rows(queries_, kPanelBytes, k),
                                     along_rows(keys, kPanelBytes, k));
    commit_products();
  }
  // o += weights . values
  __device__ __forceinline__ void start_values(const uint32_t (&weights)[kTileKeys / 16][4],
                                               WgmmaSums& o) const {
    const uint32_t values = values_ + value_place_.stage * kTileBytes;
#pragma unroll
    for (uint32_t k = 0; k < kTileKeys / 16; ++k)
      start_product<KOfRows::across>(o, weights[k], across_rows(values, kPanelBytes, k));
    commit_products();
  }
  // Once the products have ended, for all lanes.
  __device__ __forceinline__ void release_keys() {
    if (threadIdx.x % 32 == 0) arrive(barriers_.keys_free[key_place_.stage]);
    key_place_.advance();
  }
  __device__ __forceinline__ void release_values() {
    if (threadIdx.x % 32 == 0) arrive(barriers_.values_free[value_place_.stage]);
    value_place_.advance();
  }
  // Passes a tile that no row of the warpgroup sees.
  __device__ __forceinline__ void skip() {
    wait_for_turn();
    pass_turn();
    wait_for_keys();
    __syncwarp();
    release_keys();
    wait_for_values();
    __syncwarp();
    release_values();
  }

 private:
  Barriers& barriers_;
  const uint32_t group_, queries_, keys_, values_;
  Place<kStages> key_place_, value_place_;
  uint32_t turn_parity_;
};

__device__ __forceinline__ void pack_weights(const WgmmaSums& from,
                                             uint32_t (&weights)[kTileKeys / 16][4]) {
#pragma unroll
  for (uint32_t k = 0; k < kTileKeys / 16; ++k)
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) weights[k][i] = weight_register(from, k, i);
}

// Goes through all keys of a sequence. `first` is the first of the warp's 16 rows.
__device__ __forceinline__ void attend(const Attention& op, const StepView& step, const Span& span,
                                       uint32_t first, Consumer& consumer,
                                       WeightedRows<kDim>& rows) {
  const uint32_t lane = threadIdx.x % 32;
  KeysOfRow keys[2];
#pragma unroll
  for (uint32_t half = 0; half < 2; ++half) {
    const uint32_t r = first + score_row(lane, 2 * half);
    keys[half] = r >= span.begin && r < span.stop ? keys_of_row(op, step, r) : KeysOfRow{0, 0};
  }
  // Positions increase from row to row. The keys that all rows of the warp see:
  KeysOfRow common{0, 0};
  if (first >= span.begin && first + 16 <= span.stop)
    common = {keys_of_row(op, step, first + 15).first, keys_of_row(op, step, first).end};
  // The tiles that some row of the warpgroup sees, and the rest of the span's.
  const uint32_t group = first / kGroupRows * kGroupRows, last = min(group + kGroupRows, span.stop);
  uint32_t mine = 0, rest = span.tiles();
  if (last > max(group, span.begin))
    mine = (step.position[last - 1] - span.first_key) / kTileKeys + 1;
  rest -= mine;

  if (mine > 0) {
    const float scale = op.params.scale * kLog2E;
    TileOfKeys at{span.first_key, scale, 1.0f};
    WgmmaSums scores;
    uint32_t weights[kTileKeys / 16][4];
    consumer.wait_for_keys();
    consumer.wait_for_turn();
    order_products();
    consumer.start_scores(scores);
    consumer.pass_turn();
    wait_for_products<0>();
    settle(scores);
    consumer.release_keys();
    weigh<Seen::some>(scores, keys, at, rows);
    pack_weights(scores, weights);
    for (; --mine > 0;) {
      at.first += kTileKeys;
      consumer.wait_for_keys();
      consumer.wait_for_turn();
      order_products();
      consumer.start_scores(scores);
      consumer.wait_for_values();
      order_products();
      consumer.start_values(weights, rows.o);
      consumer.pass_turn();
      wait_for_products<1>();
      settle(scores);
      consumer.release_keys();
      const bool all = at.first >= common.first && at.first + kTileKeys <= common.end;
      const float2 factor = all ? weigh<Seen::all>(scores, keys, at, rows)
                                : weigh<Seen::some>(scores, keys, at, rows);
      wait_for_products<0>();
      settle(rows.o);
      consumer.release_values();
      rows.scale(factor);
      pack_weights(scores, weights);
    }
    consumer.wait_for_values();
    order_products();
    consumer.start_values(weights, rows.o);
    wait_for_products<0>();
    settle(rows.o);
    consumer.release_values();
  }
#pragma unroll 1
  for (; rest > 0; --rest) consumer.skip();
}

__global__ void __launch_bounds__(kBlockThreads, 1)
    attention_wgmma_kernel(const __grid_constant__ Attention op, const StepView step, float* y,
                           const __grid_constant__ TensorMap keys,
                           const __grid_constant__ TensorMap values) {
  const uint32_t tile = (gridDim.y - 1 - blockIdx.y) * kTileRows, rows = prompt_rows_of(step);
  if (tile >= rows) return;
  const uint32_t end = min(tile + kTileRows, rows), warp = warp_index();
  const Shared shared;
  if (threadIdx.x == 0) shared.begin();
  __syncthreads();
  if (warp >= kWarps) {
    set_registers<Registers::fewer, 24>();
    if (warp == kWarps) request_all(op, step, keys, values, tile, end, shared);
    return;
  }
  set_registers<Registers::more, 240>();
  stage_queries(op, tile, end, shared);
  Consumer consumer(shared);
  for (uint32_t begin = tile; begin < end;) {
    const Span span(op, step, begin, end);
    WeightedRows<kDim> mine;
    mine.clear();
    attend(op, step, span, tile + warp * 16, consumer, mine);
    if (op.halves)
      store_rows<true>(op, tile + warp * 16, span.begin, span.stop, mine, y);
    else
      store_rows<false>(op, tile + warp * 16, span.begin, span.stop, mine, y);
    begin = span.stop;
  }
}

TensorMap map_of(const Cache& cache, uint64_t pages) {
  return tensor_map_of({cache.data, pages * entries_of({cache.kv_heads, kDim, 2, cache.page_shift}),
                        kDim, kBoxKeys});
}

}  // namespace

bool can_use_wgmma(const Cache& keys, const abi::AttentionParams& params, uint32_t capability,
                   uint32_t shared_bytes) {
  return capability == 90 && params.soft_cap == 0.0f && keys.dtype == abi::DType::f16 &&
         keys.head_dim == kDim && 1u << keys.page_shift >= kBoxKeys &&
         Shared::kBytes <= shared_bytes;
}

void attention_wgmma(const Attention& op, const Launch& launch) {
  const uint32_t width = op.heads * kDim;
  float* y = op.order ? op.partials : op.y;
  run_kernel_in(attention_wgmma_kernel,
                {dim3(op.heads, (launch.rows + kTileRows - 1) / kTileRows), kBlockThreads,
                 Shared::kBytes, Start::after, launch.stream},
                op, launch.step, y, map_of(op.keys, op.keys.pages),
                map_of(op.values, op.values.pages));
  if (op.order) permute({y, op.order, op.y, width, Extent::rows}, launch);
}

}  // namespace ropewalk::cuda
