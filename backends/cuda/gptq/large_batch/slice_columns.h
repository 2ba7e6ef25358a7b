// slice_columns.h — how many columns of a weight a long product multiplies at once: host code of
// its own, so that the memory plan, the launches and the tests agree. Stateless.
#pragma once

#include <algorithm>
#include <cstdint>

#include "backends/cuda/device/target.h"
#include "backends/cuda/gptq/layout.h"
#include "core/abi/weight.h"

namespace ropewalk::cuda {

// Of dense weights, which lie there as f16 already: what bounds the sums.
inline constexpr uint32_t kDenseColumns = 8192;
// Of packed ones, doubts, to be measured (tuning.h). A slice that is a third of the second-level
// cache stays there between the kernel that makes it and the one that multiplies it. But cuBLAS
// works in tiles, of some 128 x 128, and too few of them leave multiprocessors idle: with 512 rows
// a third of an H200's cache gives 56 tiles to 132 of them, which then take 15.7 ns a column of
// 5120 rows (42 % of 790 TFLOP/s), where two waves of tiles take 6.6 ns and 4.8 ns for the way of a
// column through memory and back, were the two not to overlap at all. So the waves come first, up
// to what a plan can bear.
inline constexpr uint32_t kTile = 128;

// A multiple of a column tile where the weight is packed.
inline uint32_t columns_at_once(const gptq::Layout& l, abi::DType dtype, uint32_t rows,
                                const Target& target) {
  if (dtype != abi::DType::gptq) return std::min(l.cols, kDenseColumns);
  const uint64_t column_bytes = uint64_t{gptq::padded_rows(l)} * 2;
  const uint64_t of_cache = target.cache_bytes / 3 / column_bytes;
  const uint64_t of_waves =
      uint64_t{kTile} * gptq::divide_up(target.tuning().slice_waves * target.multiprocessors,
                                        gptq::divide_up(rows, kTile));
  const uint64_t most_bytes = uint64_t{target.tuning().slice_mib} << 20;
  const uint64_t most = std::max(of_cache, std::min(of_waves, most_bytes / column_bytes));
  const auto tiles = std::clamp<uint64_t>(most / gptq::kTileColumns, 1, gptq::column_tiles(l));
  return static_cast<uint32_t>(tiles) * gptq::kTileColumns;
}

}  // namespace ropewalk::cuda
