#include "core/adapter/low_rank.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace ropewalk {
namespace {

constexpr size_t kTile = 512;  // columns at a time: sums stay in the first cache

// (rows, cols) -> (cols, rows), of columns [first, first + count) only.
std::vector<float> transposed(std::span<const float> matrix, uint64_t rows, uint64_t cols,
                              uint64_t first, uint64_t count) {
  std::vector<float> out(count * rows);
  for (uint64_t row = 0; row < rows; ++row)
    for (uint64_t i = 0; i < count; ++i) out[i * rows + row] = matrix[row * cols + first + i];
  return out;
}

// sums[k] += the product of one row of L with four rows of R, in the order of the rank.
void add_four(const float* left, const float* right, uint64_t stride, size_t count, float* sums) {
  const float *r0 = right, *r1 = r0 + stride, *r2 = r1 + stride, *r3 = r2 + stride;
  for (size_t k = 0; k < count; ++k)
    sums[k] = (((sums[k] + left[0] * r0[k]) + left[1] * r1[k]) + left[2] * r2[k]) + left[3] * r3[k];
}

// M M^T of (rank, length), lower half.
std::vector<double> gram(std::span<const float> matrix, uint32_t rank, uint64_t length) {
  std::vector<double> sums(size_t{rank} * rank);
  for (uint32_t i = 0; i < rank; ++i)
    for (uint32_t j = 0; j <= i; ++j) {
      const float *x = matrix.data() + i * length, *y = matrix.data() + j * length;
      double sum = 0;
      for (uint64_t k = 0; k < length; ++k)
        sum += static_cast<double>(x[k]) * static_cast<double>(y[k]);
      sums[size_t{i} * rank + j] = sum;
    }
  return sums;
}

}  // namespace

Factors load_factors(const Adapter& adapter, const LowRank& pair, uint64_t first_row,
                     uint64_t rows) {
  Factors factors{rows, pair.cols, pair.rank, {}, {}};
  if (pair.table) {
    factors.left =
        transposed(adapter.read(*pair.a, 0, pair.rank), pair.rank, pair.rows, first_row, rows);
    factors.right =
        transposed(adapter.read(*pair.b, 0, pair.cols), pair.cols, pair.rank, 0, pair.rank);
  } else {
    factors.left = adapter.read(*pair.b, first_row, rows);
    factors.right = adapter.read(*pair.a, 0, pair.rank);
  }
  return factors;
}

void add_product(const Factors& factors, float scale, std::span<float> values) {
  const uint32_t rank = factors.rank;
  for (uint64_t first = 0; first < factors.cols; first += kTile) {
    const size_t count = std::min<uint64_t>(kTile, factors.cols - first);
    const float* right = factors.right.data() + first;
    for (uint64_t row = 0; row < factors.rows; ++row) {
      const float* left = factors.left.data() + row * rank;
      std::array<float, kTile> sums{};
      uint32_t i = 0;
      for (; i + 4 <= rank; i += 4)
        add_four(left + i, right + i * factors.cols, factors.cols, count, sums.data());
      for (; i < rank; ++i)
        for (size_t k = 0; k < count; ++k) sums[k] += left[i] * right[i * factors.cols + k];
      float* out = values.data() + row * factors.cols + first;
      for (size_t k = 0; k < count; ++k) out[k] += scale * sums[k];
    }
  }
}

double product_norm(const Factors& factors) {
  const uint32_t rank = factors.rank;
  const auto left = gram(transposed(factors.left, factors.rows, rank, 0, rank), rank, factors.rows);
  const auto right = gram(factors.right, rank, factors.cols);
  double trace = 0;
  for (uint32_t i = 0; i < rank; ++i)
    for (uint32_t j = 0; j <= i; ++j)
      trace += (i == j ? 1 : 2) * left[size_t{i} * rank + j] * right[size_t{i} * rank + j];
  return std::sqrt(std::max(trace, 0.0));
}

}  // namespace ropewalk
