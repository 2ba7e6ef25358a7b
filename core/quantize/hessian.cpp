#include "core/quantize/hessian.h"

#include <algorithm>
#include <array>

#include "core/base/parallel.h"

namespace ropewalk::quantize {
namespace {

constexpr uint32_t kSumTile = 64;  // columns and rows of a partial sum
constexpr uint32_t kTokens = 128;  // of a partial sum

struct Tile {
  uint32_t row, rows, column, columns;
};

// sums += x^T x within the tile.
void add_tile(std::span<const float> x, uint32_t inputs, const Tile& tile,
              std::vector<double>& sums) {
  const uint64_t tokens = x.size() / inputs;
  for (uint64_t first = 0; first < tokens; first += kTokens) {
    std::array<float, kSumTile * kSumTile> partial{};
    for (uint64_t token = first; token < std::min<uint64_t>(first + kTokens, tokens); ++token) {
      const float* values = x.data() + token * inputs;
      for (uint32_t r = 0; r < tile.rows; ++r) {
        const float value = values[tile.row + r];
        float* out = partial.data() + r * kSumTile;
        for (uint32_t c = 0; c < tile.columns; ++c) out[c] += value * values[tile.column + c];
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
  std::vector<Tile> tiles;
  for (uint32_t row = 0; row < inputs_; row += kSumTile)
    for (uint32_t column = 0; column <= row; column += kSumTile)
      tiles.push_back(
          {row, std::min(kSumTile, inputs_ - row), column, std::min(kSumTile, inputs_ - column)});
  parallel_for(tiles.size(), threads, [&](size_t i) { add_tile(x, inputs_, tiles[i], sums_); });
  tokens_ += x.size() / inputs_;
}

}  // namespace ropewalk::quantize
