#include "core/quantize/hessian.h"

#include <algorithm>
#include <array>
#include <functional>

#include "core/base/parallel.h"
#include "core/quantize/kernels.h"

namespace ropewalk::quantize {
namespace {

constexpr uint32_t kSumTile = 64;    // columns and rows of a partial sum
constexpr uint32_t kTokens = 128;    // of a partial sum
constexpr size_t kSpanTokens = 512;  // whose columns are laid together at a time

// Tokens of a matrix (tokens, inputs) by panels of kSumTile columns: (panels, tokens, kSumTile).
// What is behind the last column is 0.
class Panels {
 public:
  Panels(std::span<const float> x, uint32_t inputs, uint32_t threads)
      : tokens_(static_cast<uint32_t>(x.size() / inputs)),
        values_((inputs + kSumTile - 1) / kSumTile * size_t{kSumTile} * tokens_) {
    parallel_for((inputs + kSumTile - 1) / kSumTile, threads, [&](size_t panel) {
      const size_t column = panel * kSumTile, count = std::min<size_t>(kSumTile, inputs - column);
      for (size_t token = 0; token < tokens_; ++token)
        std::copy_n(x.data() + token * inputs + column, count,
                    values_.data() + (panel * tokens_ + token) * kSumTile);
    });
  }

  uint32_t tokens() const { return tokens_; }
  const float* at(uint32_t column, uint32_t token) const {
    return values_.data() + (size_t{column / kSumTile} * tokens_ + token) * kSumTile;
  }

 private:
  uint32_t tokens_;
  std::vector<float> values_;
};

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
void add_tile(const Panels& left, const Panels& right, uint32_t inputs, const Tile& tile,
              std::vector<double>& sums) {
  for (uint32_t first = 0; first < left.tokens(); first += kTokens) {
    std::array<float, kSumTile * kSumTile> partial{};
    kernels().add_f32({.y = partial.data(),
                       .a = left.at(tile.row, first),
                       .b = right.at(tile.column, first),
                       .y_stride = kSumTile,
                       .a_row = 1,
                       .a_depth = kSumTile,
                       .b_stride = kSumTile,
                       .rows = tile.rows,
                       .depth = std::min(kTokens, left.tokens() - first),
                       .columns = kSumTile});
    for (uint32_t r = 0; r < tile.rows; ++r)
      for (uint32_t c = 0; c < tile.columns; ++c)
        sums[size_t{tile.row + r} * inputs + tile.column + c] +=
            static_cast<double>(partial[r * kSumTile + c]);
  }
}

// Calls add(tokens [first, last) of x) for a few hundred tokens at a time.
template <class Add>
void by_spans(std::span<const float> x, uint32_t inputs, const Add& add) {
  for (size_t first = 0; first < x.size(); first += kSpanTokens * inputs)
    add(x.subspan(first, std::min(kSpanTokens * inputs, x.size() - first)), first);
}

}  // namespace

void Hessian::add(std::span<const float> x, uint32_t threads) {
  const std::vector<Tile> tiles = tiles_of(inputs_, true);
  by_spans(x, inputs_, [&](std::span<const float> part, size_t) {
    const Panels panels(part, inputs_, threads);
    parallel_for(tiles.size(), threads,
                 [&](size_t i) { add_tile(panels, panels, inputs_, tiles[i], sums_); });
  });
  tokens_ += x.size() / inputs_;
}

void Shift::add(std::span<const float> x, std::span<const float> dense, uint32_t threads) {
  const std::vector<Tile> tiles = tiles_of(inputs_, false);
  by_spans(x, inputs_, [&](std::span<const float> part, size_t first) {
    std::vector<float> apart(part.size());
    std::ranges::transform(dense.subspan(first, part.size()), part, apart.begin(), std::minus<>());
    const Panels left(apart, inputs_, threads), right(part, inputs_, threads);
    parallel_for(tiles.size(), threads,
                 [&](size_t i) { add_tile(left, right, inputs_, tiles[i], sums_); });
  });
}

}  // namespace ropewalk::quantize
