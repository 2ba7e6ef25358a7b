#include "core/quantize/cholesky.h"

#include <algorithm>
#include <cmath>

#include "core/base/parallel.h"

namespace ropewalk::quantize {
namespace {

constexpr uint32_t kFactorTile = 64;

// Rows [row, row + rows) and columns [column, column + columns) of a matrix with n columns.
struct Part {
  double* at;
  uint32_t rows, columns;
};

class Tiles {
 public:
  Tiles(std::span<double> matrix, uint32_t n) : matrix_(matrix), n_(n) {}

  uint32_t count() const { return (n_ + kFactorTile - 1) / kFactorTile; }
  uint32_t stride() const { return n_; }
  Part part(uint32_t row, uint32_t column) const {
    return {matrix_.data() + size_t{row} * kFactorTile * n_ + size_t{column} * kFactorTile,
            std::min(kFactorTile, n_ - row * kFactorTile),
            std::min(kFactorTile, n_ - column * kFactorTile)};
  }

 private:
  std::span<double> matrix_;
  uint32_t n_;
};

// c -= a b^T
void subtract_product(const Part& c, const Part& a, const Part& b, size_t stride) {
  double transposed[kFactorTile * kFactorTile];
  for (uint32_t j = 0; j < b.rows; ++j)
    for (uint32_t k = 0; k < b.columns; ++k) transposed[k * kFactorTile + j] = b.at[j * stride + k];
  for (uint32_t i = 0; i < c.rows; ++i)
    for (uint32_t k = 0; k < a.columns; ++k) {
      const double value = a.at[i * stride + k];
      double* out = c.at + i * stride;
      const double* row = transposed + k * kFactorTile;
      for (uint32_t j = 0; j < c.columns; ++j) out[j] -= value * row[j];
    }
}

bool factor_tile(const Part& a, size_t stride) {
  for (uint32_t j = 0; j < a.columns; ++j) {
    double* row = a.at + j * stride;
    double square = row[j];
    for (uint32_t k = 0; k < j; ++k) square -= row[k] * row[k];
    if (!(square > 0) || !std::isfinite(square)) return false;
    row[j] = std::sqrt(square);
    for (uint32_t i = j + 1; i < a.rows; ++i) {
      double* below = a.at + i * stride;
      double sum = below[j];
      for (uint32_t k = 0; k < j; ++k) sum -= below[k] * row[k];
      below[j] = sum / row[j];
    }
  }
  return true;
}

// a -> a L^-T, where L is the lower half of the square tile.
void divide_by_transpose(const Part& a, const Part& lower, size_t stride) {
  for (uint32_t i = 0; i < a.rows; ++i) {
    double* row = a.at + i * stride;
    for (uint32_t j = 0; j < a.columns; ++j) {
      double sum = row[j];
      for (uint32_t k = 0; k < j; ++k) sum -= row[k] * lower.at[j * stride + k];
      row[j] = sum / lower.at[j * stride + j];
    }
  }
}

// Columns [first, first + kFactorTile) of L^-1 by forward substitution, written reversed into
// `upper`.
void invert_columns(std::span<const double> lower, uint32_t n, uint32_t first,
                    std::span<float> upper) {
  const uint32_t columns = std::min(kFactorTile, n - first);
  std::vector<double> inverse(size_t{n - first} * kFactorTile);  // rows from `first` on
  for (uint32_t i = first; i < n; ++i) {
    const double* row = lower.data() + size_t{i} * n;
    double* sums = inverse.data() + size_t{i - first} * kFactorTile;
    if (i - first < columns) sums[i - first] = 1;
    for (uint32_t k = first; k < i; ++k) {
      const double value = row[k];
      const double* above = inverse.data() + size_t{k - first} * kFactorTile;
      for (uint32_t j = 0; j < kFactorTile; ++j) sums[j] -= value * above[j];
    }
    float* out = upper.data() + size_t{n - 1 - i} * n + (n - 1 - first);
    for (uint32_t j = 0; j < columns; ++j) {
      sums[j] /= row[i];
      *(out - j) = static_cast<float>(sums[j]);
    }
  }
}

}  // namespace

bool cholesky(std::span<double> matrix, uint32_t n, uint32_t threads) {
  const Tiles tiles(matrix, n);
  const uint32_t count = tiles.count();
  for (uint32_t k = 0; k < count; ++k) {
    const Part corner = tiles.part(k, k);
    if (!factor_tile(corner, n)) return false;
    parallel_for(count - k - 1, threads, [&](size_t step) {
      divide_by_transpose(tiles.part(k + 1 + static_cast<uint32_t>(step), k), corner, n);
    });
    parallel_for(count - k - 1, threads, [&](size_t step) {
      const auto i = static_cast<uint32_t>(k + 1 + step);
      for (uint32_t j = k + 1; j <= i; ++j)
        subtract_product(tiles.part(i, j), tiles.part(i, k), tiles.part(j, k), n);
    });
  }
  return true;
}

std::vector<float> reversed_inverse(std::span<const double> lower, uint32_t n, uint32_t threads) {
  std::vector<float> upper(size_t{n} * n);
  parallel_for((n + kFactorTile - 1) / kFactorTile, threads, [&](size_t tile) {
    invert_columns(lower, n, static_cast<uint32_t>(tile) * kFactorTile, upper);
  });
  return upper;
}

}  // namespace ropewalk::quantize
