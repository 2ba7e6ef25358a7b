// lean/shares.h — how a product of gptq/lean/matmul.cu is divided: one wave of thread blocks, whose
// warps all read the same number of blocks of K, give or take one.
//
// K is cut into slices: as few as possible, so that x of a slice fits into shared memory. The
// blocks of a slice are numbered tile after tile and divided evenly among its warps:
//
//   slice 0   | tile 0      | tile 1      | tile 2          |  each tile: the slice's blocks of K
//             | warp 0 | warp 1 | warp 2  | warp 3 | warp 4 |  a warp's part of a tile: a segment
//   slice 1   ..
//
// Sums of segments are added in the order slice, warp. These are functions of indices, which the
// memory plan, the kernel and the host's tests share. Divisions are of 32 bits: 64 bits take a GPU
// several times as many instructions.
#pragma once

#include <algorithm>
#include <cstdint>

#include "backends/cuda/gptq/layout.h"

namespace ropewalk::cuda::gptq {

inline constexpr uint32_t kLeanWarps = 8, kLeanThreads = kLeanWarps * kLanes;

// `total` items divided among `parts`: the first total % parts have one item more than the others.
struct Range {
  uint32_t begin, count;
};
RW_HOST_DEVICE Range part_at(uint32_t total, uint32_t parts, uint32_t i) {
  const uint32_t each = total / parts, longer = total % parts;
  return {i * each + (i < longer ? i : longer), each + (i < longer)};
}
// The part that has item `index`. REQUIRES: index < total.
RW_HOST_DEVICE uint32_t part_of(uint32_t total, uint32_t parts, uint32_t index) {
  const uint32_t each = total / parts, longer = total % parts, in_longer = longer * (each + 1);
  const bool is_longer = index < in_longer;
  return (is_longer ? 0 : longer) +
         (is_longer ? index : index - in_longer) / (is_longer ? each + 1 : each);
}

struct Shares {
  uint32_t tiles;     // column tiles of all weights
  uint32_t blocks;    // of K
  uint32_t slices;    // of K
  uint32_t warps;     // of a slice, a multiple of kLeanWarps
  uint32_t segments;  // max of a warp
};

struct Slice {
  uint32_t begin, blocks;  // of K
};
RW_HOST_DEVICE Slice slice_at(const Shares& s, uint32_t slice) {
  const Range range = part_at(s.blocks, s.slices, slice);
  return {range.begin, range.count};
}
// Blocks of the longest slice.
RW_HOST_DEVICE uint32_t slice_blocks(const Shares& s) { return divide_up(s.blocks, s.slices); }

// A warp's share: its first block, numbered tile after tile, and how many it has. Blocks are
// divided among thread blocks first, so that multiprocessors are balanced, and then among their
// warps. With fewer blocks than warps the first warps have one each: empty shares come last, since
// sums are added over a run of warps that have all written one.
using Share = Range;
RW_HOST_DEVICE Share share_of(const Shares& s, const Slice& slice, uint32_t warp) {
  const uint32_t total = s.tiles * slice.blocks;
  if (total < s.warps) return warp < total ? Share{warp, 1} : Share{total, 0};
  const Range all = part_at(total, s.warps / kLeanWarps, warp / kLeanWarps);
  const Range share = part_at(all.count, kLeanWarps, warp % kLeanWarps);
  return {all.begin + share.begin, share.count};
}
// The warp that has a block of a tile of the slice.
RW_HOST_DEVICE uint32_t warp_of(const Shares& s, const Slice& slice, uint32_t tile,
                                uint32_t block) {
  const uint32_t total = s.tiles * slice.blocks, index = tile * slice.blocks + block;
  if (total < s.warps) return index;
  const uint32_t thread_blocks = s.warps / kLeanWarps, i = part_of(total, thread_blocks, index);
  const Range range = part_at(total, thread_blocks, i);
  return i * kLeanWarps + part_of(range.count, kLeanWarps, index - range.begin);
}
// Index of a warp's segment of a tile among all segments.
RW_HOST_DEVICE uint64_t segment_at(const Shares& s, const Slice& slice, uint32_t index,
                                   uint32_t warp, uint32_t tile) {
  const uint32_t first_tile = share_of(s, slice, warp).begin / slice.blocks;
  return (uint64_t{index} * s.warps + warp) * s.segments + tile - first_tile;
}
// The same for a warp whose share begins in the tile, as do those of all but the first warp of it.
RW_HOST_DEVICE uint64_t first_segment_at(const Shares& s, uint32_t index, uint32_t warp) {
  return (uint64_t{index} * s.warps + warp) * s.segments;
}
// Where the segments of a tile in a slice lie: the first one, and those of the warps behind it.
struct TileSegments {
  uint64_t first, second;
  uint32_t stride, count;

  RW_HOST_DEVICE uint64_t place(uint32_t i) const {
    return i == 0 ? first : second + uint64_t{i - 1} * stride;
  }
};
RW_HOST_DEVICE TileSegments segments_of(const Shares& s, uint32_t index, uint32_t tile) {
  const Slice slice = slice_at(s, index);
  const uint32_t warp = warp_of(s, slice, tile, 0);
  return {segment_at(s, slice, index, warp, tile), first_segment_at(s, index, warp + 1), s.segments,
          warp_of(s, slice, tile, slice.blocks - 1) - warp + 1};
}
RW_HOST_DEVICE uint64_t segment_count(const Shares& s) {
  return uint64_t{s.slices} * s.warps * s.segments;
}
RW_HOST_DEVICE uint32_t thread_blocks_of(const Shares& s) {
  return s.slices * s.warps / kLeanWarps;
}

// What a division costs beside reading the weight, in the time of reading a warp's block of K.
struct ShareCosts {
  uint32_t segment_blocks;  // of writing a segment's sums and of adding them up
  uint32_t x_rows;          // rows of x that a thread block copies for a slice; 0: not counted
  uint32_t slice_limit;     // times the fewest slices are tried
};
// Blocks of K that a warp could read while its thread block copies a block of K of x, 64 bytes a
// row. Half of it overlaps with the first weights.
inline uint32_t copy_blocks(uint32_t slice_blocks, uint32_t x_rows) {
  return slice_blocks * x_rows * 64 / (kLeanWarps * 592) / 2;
}

// REQUIRES: max_slice_blocks > 0.
inline Shares share_out(uint32_t tiles, uint32_t blocks, uint32_t max_slice_blocks,
                        uint32_t multiprocessors, const ShareCosts& costs) {
  const auto with = [&](uint32_t slices) {
    const uint32_t warps = std::max(multiprocessors / slices, 1u) * kLeanWarps;
    const uint32_t min_blocks = blocks / slices,
                   count = divide_up(tiles * divide_up(blocks, slices), warps);
    return Shares{tiles, blocks, slices, warps, (count + min_blocks - 2) / min_blocks + 1};
  };
  const auto time = [&](const Shares& s) {
    const uint32_t waves = divide_up(thread_blocks_of(s), multiprocessors);
    return waves * (divide_up(tiles * slice_blocks(s), s.warps) +
                    s.segments * costs.segment_blocks + copy_blocks(slice_blocks(s), costs.x_rows));
  };
  const uint32_t fewest = divide_up(blocks, max_slice_blocks);
  Shares best = with(fewest);
  const uint32_t most = std::min(costs.slice_limit * fewest, blocks);
  for (uint32_t slices = fewest + 1; slices <= most; ++slices)
    if (const Shares other = with(slices); time(other) < time(best)) best = other;
  return best;
}

}  // namespace ropewalk::cuda::gptq
