#include "core/quantize/cholesky.h"

#include <algorithm>
#include <cmath>

#include "core/base/parallel.h"
#include "core/quantize/kernels.h"

namespace ropewalk::quantize {
namespace {

constexpr uint32_t kFactorTile = 128;
constexpr uint32_t kInverseColumns = 64;  // found together
constexpr uint32_t kFewRows = 8;          // between which sums depend on each other

// Rows [row, row + rows) and columns [column, column + columns) of a matrix with n columns.
struct Part {
  double* at;
  uint32_t rows, columns;
};

class Tiles {
 public:
  Tiles(std::span<double> matrix, uint32_t n) : matrix_(matrix), n_(n) {}

  uint32_t count() const { return (n_ + kFactorTile - 1) / kFactorTile; }
  Part part(uint32_t row, uint32_t column) const {
    return {matrix_.data() + size_t{row} * kFactorTile * n_ + size_t{column} * kFactorTile,
            std::min(kFactorTile, n_ - row * kFactorTile),
            std::min(kFactorTile, n_ - column * kFactorTile)};
  }

 private:
  std::span<double> matrix_;
  uint32_t n_;
};

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

// X -> L^-1 X, where L is (n, n), lower, and X (n, columns): row by row from above, each with the
// rows above it. `lower` is -L but for the diagonal, which is not looked at.
struct Substitution {
  const double* lower;
  size_t lower_stride;
  const double* diagonal;
  size_t diagonal_stride;
  double* x;
  size_t x_stride;
  uint32_t n, columns;

  // x (rows, columns) at `row` += -L [row, row + rows) x [0, depth) . x (depth, columns)
  void subtract(uint32_t row, uint32_t rows, uint32_t first, uint32_t depth) const {
    kernels().add_f64({.y = x + row * x_stride,
                       .a = lower + row * lower_stride + first,
                       .b = x + first * x_stride,
                       .y_stride = x_stride,
                       .a_row = lower_stride,
                       .a_depth = 1,
                       .b_stride = x_stride,
                       .rows = rows,
                       .depth = depth,
                       .columns = columns});
  }

  void run() const {
    for (uint32_t begin = 0; begin < n; begin += kFewRows) {
      const uint32_t rows = std::min(kFewRows, n - begin);
      subtract(begin, rows, 0, begin);
      for (uint32_t r = 0; r < rows; ++r) {
        const uint32_t row = begin + r;
        subtract(row, 1, begin, r);
        const double pivot = diagonal[row * diagonal_stride];
        for (uint32_t c = 0; c < columns; ++c) x[row * x_stride + c] /= pivot;
      }
    }
  }
};

// -L of a tile, contiguous.
std::vector<double> negated(const double* at, size_t stride, uint32_t rows, uint32_t columns) {
  std::vector<double> values(size_t{rows} * columns);
  for (uint32_t i = 0; i < rows; ++i)
    for (uint32_t k = 0; k < columns; ++k) values[size_t{i} * columns + k] = -at[i * stride + k];
  return values;
}

// a -> a L^-T, where L is the lower half of the square tile. Leaves the negative of the result's
// transpose, (columns, kFactorTile), in `transposed`.
void divide_by_transpose(const Part& a, const Part& corner, size_t stride,
                         std::span<const double> lower, double* transposed) {
  for (uint32_t i = 0; i < a.rows; ++i)
    for (uint32_t k = 0; k < a.columns; ++k) transposed[k * kFactorTile + i] = a.at[i * stride + k];
  Substitution{.lower = lower.data(),
               .lower_stride = corner.columns,
               .diagonal = corner.at,
               .diagonal_stride = stride + 1,
               .x = transposed,
               .x_stride = kFactorTile,
               .n = a.columns,
               .columns = a.rows}
      .run();
  for (uint32_t i = 0; i < a.rows; ++i)
    for (uint32_t k = 0; k < a.columns; ++k) {
      double& value = transposed[k * kFactorTile + i];
      a.at[i * stride + k] = value;
      value = -value;
    }
}

// Columns [first, first + kInverseColumns) of L^-1 by forward substitution, written reversed into
// `upper`.
void invert_columns(std::span<const double> lower, uint32_t n, uint32_t first,
                    std::span<float> upper) {
  const uint32_t columns = std::min(kInverseColumns, n - first);
  std::vector<double> inverse(size_t{n - first} * kInverseColumns);  // rows from `first` on
  for (uint32_t j = 0; j < columns; ++j) inverse[size_t{j} * kInverseColumns + j] = 1;
  for (uint32_t begin = first; begin < n; begin += kInverseColumns) {
    const uint32_t rows = std::min(kInverseColumns, n - begin);
    double* x = inverse.data() + size_t{begin - first} * kInverseColumns;
    for (uint32_t k = first; k < begin; k += kInverseColumns) {
      const std::vector<double> part =
          negated(lower.data() + size_t{begin} * n + k, n, rows, kInverseColumns);
      kernels().add_f64({.y = x,
                         .a = part.data(),
                         .b = inverse.data() + size_t{k - first} * kInverseColumns,
                         .y_stride = kInverseColumns,
                         .a_row = kInverseColumns,
                         .a_depth = 1,
                         .b_stride = kInverseColumns,
                         .rows = rows,
                         .depth = kInverseColumns,
                         .columns = kInverseColumns});
    }
    const double* corner = lower.data() + size_t{begin} * n + begin;
    const std::vector<double> part = negated(corner, n, rows, rows);
    Substitution{.lower = part.data(),
                 .lower_stride = rows,
                 .diagonal = corner,
                 .diagonal_stride = size_t{n} + 1,
                 .x = x,
                 .x_stride = kInverseColumns,
                 .n = rows,
                 .columns = kInverseColumns}
        .run();
    for (uint32_t i = 0; i < rows; ++i) {
      float* out = upper.data() + size_t{n - 1 - begin - i} * n + (n - 1 - first);
      for (uint32_t j = 0; j < columns; ++j)
        *(out - j) = static_cast<float>(x[size_t{i} * kInverseColumns + j]);
    }
  }
}

}  // namespace

bool cholesky(std::span<double> matrix, uint32_t n, uint32_t threads) {
  const Tiles tiles(matrix, n);
  const uint32_t count = tiles.count();
  constexpr size_t kTileSize = size_t{kFactorTile} * kFactorTile;
  std::vector<double> transposed(count * kTileSize);  // of the tiles below the corner, negated
  for (uint32_t k = 0; k < count; ++k) {
    const Part corner = tiles.part(k, k);
    if (!factor_tile(corner, n)) return false;
    const std::vector<double> lower = negated(corner.at, n, corner.rows, corner.columns);
    parallel_for(count - k - 1, threads, [&](size_t step) {
      const auto i = static_cast<uint32_t>(k + 1 + step);
      divide_by_transpose(tiles.part(i, k), corner, n, lower, transposed.data() + i * kTileSize);
    });
    // The longest rows first, so that the threads end together.
    parallel_for(count - k - 1, threads, [&](size_t step) {
      const auto i = static_cast<uint32_t>(count - 1 - step);
      const Part left = tiles.part(i, k);
      for (uint32_t j = k + 1; j <= i; ++j) {
        const Part out = tiles.part(i, j);
        kernels().add_f64({.y = out.at,
                           .a = left.at,
                           .b = transposed.data() + j * kTileSize,
                           .y_stride = n,
                           .a_row = n,
                           .a_depth = 1,
                           .b_stride = kFactorTile,
                           .rows = out.rows,
                           .depth = left.columns,
                           .columns = out.columns});
      }
    });
  }
  return true;
}

std::vector<float> reversed_inverse(std::span<const double> lower, uint32_t n, uint32_t threads) {
  std::vector<float> upper(size_t{n} * n);
  parallel_for((n + kInverseColumns - 1) / kInverseColumns, threads, [&](size_t tile) {
    invert_columns(lower, n, static_cast<uint32_t>(tile) * kInverseColumns, upper);
  });
  return upper;
}

}  // namespace ropewalk::quantize
