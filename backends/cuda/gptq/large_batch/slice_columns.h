// slice_columns.h — how many columns of a weight a large-batch product multiplies at once: host
// code that the memory plan, the launches and the tests share. Stateless.
#pragma once

#include <algorithm>
#include <cstdint>

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

}  // namespace ropewalk::cuda
