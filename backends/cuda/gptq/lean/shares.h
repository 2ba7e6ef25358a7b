// lean/shares.h — how a product of gptq/lean/matmul.cu is divided: one wave of thread blocks whose
// warps all read the same number of blocks of K, but for one.
//
// K is cut into slices, as few as let a thread block keep x of its slice in shared memory. The
// blocks of a slice are numbered tile after tile, and its warps share them exactly:
//
//   slice 0   tile 0      | tile 1      | tile 2      |       every tile: the slice's blocks of K
//             warp 0 | warp 1 | warp 2  | warp 3 | warp 4 |    a warp's share of a tile: a segment
//   slice 1   ..
//
// Sums of segments are added in the order slice, warp. Functions of indices alone, so that the
// memory plan, the kernel and the host's tests agree.
#pragma once

#include <algorithm>
#include <cstdint>

#include "backends/cuda/gptq/layout.h"

namespace ropewalk::cuda::gptq {

inline constexpr uint32_t kLeanWarps = 8, kLeanThreads = kLeanWarps * kLanes;

// `total` things for `parts`: where part i begins, and which part has thing `index`. Longer parts
// lie evenly among the others, so that the warps of a multiprocessor together have their share too.
// Parts without a thing are the last: sums are added over a run of parts that have all written one.
RW_HOST_DEVICE uint32_t split_begin(uint32_t total, uint32_t parts, uint32_t i) {
  const uint32_t filled = parts < total ? parts : total;
  return i < filled ? static_cast<uint32_t>(uint64_t{total} * i / filled) : total;
}
RW_HOST_DEVICE uint32_t split_of(uint32_t total, uint32_t parts, uint32_t index) {
  const uint32_t filled = parts < total ? parts : total;
  return static_cast<uint32_t>((uint64_t{index + 1} * filled - 1) / total);
}

struct Shares {
  uint32_t tiles;     // of columns, all weights together
  uint32_t blocks;    // of K
  uint32_t slices;    // of K
  uint32_t warps;     // of a slice, a multiple of kLeanWarps
  uint32_t segments;  // of a warp, at most
};

struct Slice {
  uint32_t begin, blocks;  // of K
};
RW_HOST_DEVICE Slice slice_at(const Shares& s, uint32_t slice) {
  const uint32_t begin = split_begin(s.blocks, s.slices, slice);
  return {begin, split_begin(s.blocks, s.slices, slice + 1) - begin};
}
// The longest.
RW_HOST_DEVICE uint32_t slice_blocks(const Shares& s) { return divide_up(s.blocks, s.slices); }

// A warp's first block, numbered tile after tile, and how many it has.
struct Share {
  uint32_t begin, count;
};
RW_HOST_DEVICE Share share_of(const Shares& s, const Slice& slice, uint32_t warp) {
  const uint32_t total = s.tiles * slice.blocks, begin = split_begin(total, s.warps, warp);
  return {begin, split_begin(total, s.warps, warp + 1) - begin};
}
// The warp that has a block of a tile of the slice.
RW_HOST_DEVICE uint32_t warp_of(const Shares& s, const Slice& slice, uint32_t tile,
                                uint32_t block) {
  return split_of(s.tiles * slice.blocks, s.warps, tile * slice.blocks + block);
}
// Where the sums of a warp's segment of a tile lie among all segments' sums.
RW_HOST_DEVICE uint64_t segment_at(const Shares& s, const Slice& slice, uint32_t index,
                                   uint32_t warp, uint32_t tile) {
  const uint32_t first_tile = share_of(s, slice, warp).begin / slice.blocks;
  return (uint64_t{index} * s.warps + warp) * s.segments + tile - first_tile;
}
RW_HOST_DEVICE uint64_t segments_of_all(const Shares& s) {
  return uint64_t{s.slices} * s.warps * s.segments;
}
RW_HOST_DEVICE uint32_t thread_blocks_of(const Shares& s) {
  return s.slices * s.warps / kLeanWarps;
}

// `segment_blocks`: what a segment's end costs in blocks of K. REQUIRES: most_slice_blocks > 0.
inline Shares share_out(uint32_t tiles, uint32_t blocks, uint32_t most_slice_blocks,
                        uint32_t multiprocessors, uint32_t segment_blocks) {
  const auto with = [&](uint32_t slices) {
    const uint32_t warps = std::max(multiprocessors / slices, 1u) * kLeanWarps;
    const uint32_t least = blocks / slices,
                   count = divide_up(tiles * divide_up(blocks, slices), warps);
    return Shares{tiles, blocks, slices, warps, (count + least - 2) / least + 1};
  };
  const auto time = [&](const Shares& s) {
    const uint32_t waves = divide_up(thread_blocks_of(s), multiprocessors);
    return waves * (divide_up(tiles * slice_blocks(s), s.warps) + s.segments * segment_blocks);
  };
  const uint32_t fewest = divide_up(blocks, most_slice_blocks);
  Shares best = with(fewest);
  for (uint32_t slices = fewest + 1; slices <= std::min(3 * fewest, blocks); ++slices)
    if (const Shares other = with(slices); time(other) < time(best)) best = other;
  return best;
}

}  // namespace ropewalk::cuda::gptq
