// slice_columns.h — which columns a large-batch product multiplies at once: host code that the
// memory plan, the launches and the tests share. Stateless.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "backends/cuda/device/target.h"
#include "backends/cuda/gptq/layout.h"
#include "core/abi/weight.h"

namespace ropewalk::cuda {

// Dense weights are f16 already; this bounds the memory for their sums.
inline constexpr uint32_t kDenseColumns = 8192;

// The side of cuBLAS's tiles, which are some 128 x 128.
//
// How many columns of a packed weight are best is a doubt, to be measured (tuning.h). A slice of a
// third of the second-level cache stays there between the kernel that writes it and the one that
// multiplies it. But too few tiles leave multiprocessors idle. With 512 rows, a third of an H200's
// cache gives 56 tiles for 132 multiprocessors: 15.7 ns a column of 5120 rows (42 % of 790
// TFLOP/s). Two waves of tiles take 6.6 ns, and 4.8 ns to write a column to memory and read it
// back, if the two do not overlap at all. So the waves decide, up to a limit of memory.
inline constexpr uint32_t kTile = 128;

// For a packed weight a multiple of a column tile.
inline uint32_t columns_at_once(const gptq::Layout& l, abi::DType dtype, uint32_t rows,
                                const Target& target) {
  if (dtype != abi::DType::gptq) return std::min(l.cols, kDenseColumns);
  const uint64_t column_bytes = uint64_t{gptq::padded_rows(l)} * 2;
  const uint64_t of_cache = target.cache_bytes / 3 / column_bytes;
  const uint64_t of_waves =
      uint64_t{kTile} * gptq::divide_up(target.tuning().slice_waves * target.multiprocessors,
                                        gptq::divide_up(rows, kTile));
  const uint64_t max_bytes = uint64_t{target.tuning().slice_mib} << 20;
  const uint64_t columns = std::max(of_cache, std::min(of_waves, max_bytes / column_bytes));
  const auto tiles = std::clamp<uint64_t>(columns / gptq::kTileColumns, 1, gptq::column_tiles(l));
  return static_cast<uint32_t>(tiles) * gptq::kTileColumns;
}

// Columns [first, first + count) of a part.
struct Piece {
  uint32_t part, first, count;
};
// Pieces that are finished together. Their sums lie side by side, and with the option `tune`'s
// `joined` one product computes them. A piece of packed weights is padded to whole tiles there.
using Group = std::vector<Piece>;

inline uint32_t width_of(const Piece& piece, abi::DType dtype) {
  constexpr uint32_t kTileOf = gptq::kTileColumns;
  return dtype == abi::DType::gptq ? gptq::divide_up(piece.count, kTileOf) * kTileOf : piece.count;
}
inline uint32_t width_of(const Group& group, abi::DType dtype) {
  uint32_t width = 0;
  for (const Piece& piece : group) width += width_of(piece, dtype);
  return width;
}

// Whether the parts are finished one after another, or both are gate and up of the same columns.
enum class Parts : uint32_t { in_order, gate_and_up };

// All columns of all parts, which have the same rows.
inline std::vector<Group> groups_of(std::span<const gptq::Layout> parts, Parts which,
                                    abi::DType dtype, uint32_t rows, const Target& target) {
  const bool joined = target.tuning().joined != 0;
  gptq::Layout all = parts[0];
  for (size_t i = 1; i < parts.size() && joined; ++i) all.cols += parts[i].cols;
  const uint32_t at_once = columns_at_once(all, dtype, rows, target);
  std::vector<Group> groups;
  if (which == Parts::gate_and_up) {
    const uint32_t cols = parts[0].cols, tiles = at_once / gptq::kTileColumns;
    const uint32_t each = joined ? std::max(tiles / 2, 1u) * gptq::kTileColumns : at_once;
    for (uint32_t first = 0; first < cols; first += each) {
      const uint32_t count = std::min(each, cols - first);
      groups.push_back({{0, first, count}, {1, first, count}});
    }
    return groups;
  }
  uint32_t left = 0;  // columns of the last group that are still free
  for (uint32_t part = 0; part < parts.size(); ++part) {
    const uint32_t cols = parts[part].cols;
    if (!joined) left = 0;
    for (uint32_t first = 0; first < cols;) {
      if (left == 0) {
        groups.emplace_back();
        left = at_once;
      }
      const Piece piece{part, first, std::min(left, cols - first)};
      groups.back().push_back(piece);
      first += piece.count;
      left -= std::min(left, width_of(piece, dtype));
    }
  }
  return groups;
}

}  // namespace ropewalk::cuda
