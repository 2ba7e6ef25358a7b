#include "core/quantize/pull.h"

#include <algorithm>

#include "core/base/parallel.h"
#include "core/quantize/kernels.h"

namespace ropewalk::quantize {
namespace {

constexpr double kPullShare = 0.25;
constexpr uint32_t kPullRows = 64;     // of D at a time, so that U is read once for them
constexpr uint32_t kPullColumns = 64;  // of a product, made of
constexpr uint32_t kPullDepth = 128;   // terms at a time

// Part of U (depth, columns) in f64, or of U^T.
struct Corner {
  uint32_t depth, columns;
  std::vector<double> values = std::vector<double>(size_t{kPullDepth} * kPullColumns);
};

// Rows of a matrix (rows, n), in f64.
class PullRows {
 public:
  PullRows(uint32_t rows, uint32_t n) : rows_(rows), n_(n), values_(size_t{rows} * n) {}

  double* row(uint32_t r) { return values_.data() + size_t{r} * n_; }
  // Columns from `column` on += from's columns from `first` on . part
  void add(PullRows& from, uint32_t first, const Corner& part, uint32_t column) {
    kernels().add_f64({.y = row(0) + column,
                       .a = from.row(0) + first,
                       .b = part.values.data(),
                       .y_stride = n_,
                       .a_row = n_,
                       .a_depth = 1,
                       .b_stride = kPullColumns,
                       .rows = rows_,
                       .depth = part.depth,
                       .columns = part.columns});
  }

 private:
  uint32_t rows_, n_;
  std::vector<double> values_;
};

// Rows [first, first + count) of P.
void pull_rows(const Shift& shift, const Factor& factor, uint32_t first, uint32_t count,
               std::vector<float>& pull) {
  const auto n = static_cast<uint32_t>(factor.order.size());
  PullRows moved(count, n), products(count, n), sums(count, n);
  for (uint32_t r = 0; r < count; ++r)
    for (uint32_t k = 0; k < n; ++k)
      moved.row(r)[k] = shift.sums()[size_t{factor.order[first + r]} * n + factor.order[k]];
  Corner part;
  for (uint32_t j = first; j < n; j += kPullColumns) {
    part.columns = std::min(kPullColumns, n - j);
    for (uint32_t k = j; k < n; k += kPullDepth) {
      part.depth = std::min(kPullDepth, n - k);
      for (uint32_t c = 0; c < part.columns; ++c)
        for (uint32_t i = 0; i < part.depth; ++i)
          part.values[size_t{i} * kPullColumns + c] = static_cast<double>(factor.at(j + c, k + i));
      products.add(moved, k, part, j);
    }
  }
  for (uint32_t r = 0; r < count; ++r)  // strictly upper
    std::fill_n(products.row(r), first + r + 1, 0.0);
  for (uint32_t k = first; k < n; k += kPullColumns) {
    part.columns = std::min(kPullColumns, n - k);
    for (uint32_t j = first; j < k + part.columns; j += kPullDepth) {
      part.depth = std::min(kPullDepth, k + part.columns - j);
      for (uint32_t i = 0; i < part.depth; ++i)
        std::copy_n(&factor.upper[size_t{j + i} * n + k], part.columns,
                    part.values.data() + size_t{i} * kPullColumns);
      sums.add(products, j, part, k);
    }
  }
  for (uint32_t r = 0; r < count; ++r)
    for (uint32_t k = 0; k < n; ++k)
      pull[size_t{first + r} * n + k] = static_cast<float>(kPullShare * sums.row(r)[k]);
}

}  // namespace

std::vector<float> pull_of(const Shift& shift, const Factor& factor, uint32_t threads) {
  const auto n = static_cast<uint32_t>(factor.order.size());
  std::vector<float> pull(size_t{n} * n);
  parallel_for((n + kPullRows - 1) / kPullRows, threads, [&](size_t block) {
    const uint32_t first = static_cast<uint32_t>(block) * kPullRows;
    pull_rows(shift, factor, first, std::min(kPullRows, n - first), pull);
  });
  return pull;
}

}  // namespace ropewalk::quantize
