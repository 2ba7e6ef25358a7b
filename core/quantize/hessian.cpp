#include "core/quantize/hessian.h"

#include <algorithm>
#include <array>
#include <functional>

#include "core/base/parallel.h"

namespace ropewalk::quantize {
namespace {

constexpr uint32_t kSumTile = 64;  // columns and rows of a partial sum
constexpr uint32_t kTokens = 128;  // of a partial sum

struct Tile {
  uint32_t row, rows, column, columns;
};

// The tiles of a matrix of (inputs, inputs), or of its lower half.
std::vector<Tile> tiles_of(uint32_t inputs, bool lower) {
  std::vector<Tile> tiles;
  for (uint32_t row = 0; row < inputs; row += kSumTile)
    for (uint32_t column = 0; column < (lower ? row + 1 : inputs); column += kSumTile)
      tiles.push_back(
          {row, std::min(kSumTile, inputs - row), column, std::min(kSumTile, inputs - column)});
  return tiles;
}

// sums += left^T right within the tile.
void add_tile(std::span<const float> left, std::span<const float> right, uint32_t inputs,
              const Tile& tile, std::vector<double>& sums) {
  const uint64_t tokens = right.size() / inputs;
  for (uint64_t first = 0; first < tokens; first += kTokens) {
    std::array<float, kSumTile * kSumTile> partial{};
    for (uint64_t token = first; token < std::min<uint64_t>(first + kTokens, tokens); ++token) {
      const float* rows = left.data() + token * inputs + tile.row;
      const float* columns = right.data() + token * inputs + tile.column;
      for (uint32_t r = 0; r < tile.rows; ++r) {
        float* out = partial.data() + r * kSumTile;
        for (uint32_t c = 0; c < tile.columns; ++c) out[c] += rows[r] * columns[c];
      }
    }
    for (uint32_t r = 0; r < tile.rows; ++r)
      for (uint32_t c = 0; c < tile.columns; ++c)
        sums[size_t{tile.row + r} * inputs + tile.column + c] +=
            static_cast<double>(partial[r * kSumTile + c]);
  }
}

}  // namespace

void Hessian::add(std::span<const float> x, uint32_t threads) {
  const std::vector<Tile> tiles = tiles_of(inputs_, true);
  parallel_for(tiles.size(), threads, [&](size_t i) { add_tile(x, x, inputs_, tiles[i], sums_); });
  tokens_ += x.size() / inputs_;
}

void Shift::add(std::span<const float> x, std::span<const float> dense, uint32_t threads) {
  std::vector<float> apart(x.size());
  std::ranges::transform(dense, x, apart.begin(), std::minus<>());
  const std::vector<Tile> tiles = tiles_of(inputs_, false);
  parallel_for(tiles.size(), threads,
               [&](size_t i) { add_tile(apart, x, inputs_, tiles[i], sums_); });
}

}  // namespace ropewalk::quantize
