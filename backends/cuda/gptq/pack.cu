// Lays a stored GPTQ weight out in tiles. One kernel writes the codes: a thread writes a lane's
// fragment of a block. Another one writes scales and zeros: a thread writes a column of a group.
// Bottleneck: the copy from the host; then the scattered reads by the row order, which caches
// soften.
#include "backends/cuda/gptq/pack.h"
#include "backends/cuda/kernel/launch.cuh"

namespace ropewalk::cuda::gptq {
namespace {

constexpr uint32_t kThreads = 128;

__global__ void pack_codes(const Stored from, const Layout l, uint32_t* to) {
  const uint64_t i = uint64_t{blockIdx.x} * kThreads + threadIdx.x;
  const uint32_t lane = static_cast<uint32_t>(i % kLanes);
  const uint32_t block = static_cast<uint32_t>(i / kLanes % blocks(l));
  const uint32_t tile = static_cast<uint32_t>(i / kLanes / blocks(l));
  if (tile >= column_tiles(l)) return;
  uint32_t words[kMaxBits];
  lane_fragment(from, l, tile, block, lane, words);
  uint32_t* at = to + tile * tile_words(l) + block_at(l, block);
  for (uint32_t word = 0; word < l.bits; ++word) at[lane_word(l.bits, lane, word)] = words[word];
}

__global__ void pack_headers(const Stored from, const Layout l, uint32_t* to) {
  const uint64_t i = uint64_t{blockIdx.x} * kThreads + threadIdx.x;
  const uint32_t in_tile = static_cast<uint32_t>(i % kTileColumns);
  const uint32_t group = static_cast<uint32_t>(i / kTileColumns % groups(l));
  const uint32_t tile = static_cast<uint32_t>(i / kTileColumns / groups(l));
  if (tile >= column_tiles(l)) return;
  uint32_t words[2];
  column_header(from, l, tile * kTileColumns + in_tile, group, words);
  uint32_t* at = to + tile * tile_words(l) + header_at(l, group) + header_word(l, in_tile);
  for (uint32_t word = 0; word < l.header_words; ++word) at[word] = words[word];
}

// A thread writes the columns g, g + 8, g + 16 and g + 24 of a group of a tile.
__global__ void pack_small_headers(const Stored from, const Layout l, uint32_t* to) {
  const uint64_t i = uint64_t{blockIdx.x} * kThreads + threadIdx.x;
  const uint32_t g = static_cast<uint32_t>(i % 8);
  const uint32_t group = static_cast<uint32_t>(i / 8 % groups(l));
  const uint32_t tile = static_cast<uint32_t>(i / 8 / groups(l));
  if (tile >= column_tiles(l)) return;
  uint32_t words[3];
  small_header_fragment(from, l, tile, group, 4 * g, words);
  uint32_t* at = to + tile * tile_words(l) + header_at(l, group);
  at[2 * g] = words[0];
  at[2 * g + 1] = words[1];
  if (l.zeros == Zeros::nibbles)
    reinterpret_cast<uint16_t*>(at + kSmallScaleBytes / 4)[g] = static_cast<uint16_t>(words[2]);
}

}  // namespace

void pack(const Stored& from, const Layout& l, uint32_t* to, cudaStream_t stream) {
  const auto grid = [](uint64_t threads) {
    return static_cast<uint32_t>((threads + kThreads - 1) / kThreads);
  };
  const uint64_t fragments = uint64_t{column_tiles(l)} * blocks(l) * kLanes;
  run_kernel(pack_codes, grid(fragments), kThreads, stream, from, l, to);
  const uint64_t columns = uint64_t{column_tiles(l)} * groups(l) * kTileColumns;
  if (l.zeros == Zeros::beside_scales)
    run_kernel(pack_headers, grid(columns), kThreads, stream, from, l, to);
  else
    run_kernel(pack_small_headers, grid(columns / kLaneColumns), kThreads, stream, from, l, to);
}

}  // namespace ropewalk::cuda::gptq
