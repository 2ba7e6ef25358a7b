#include "core/quantize/solve.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/parallel.h"
#include "core/checkpoint/weights/finite.h"
#include "core/quantize/range.h"

namespace ropewalk::quantize {
namespace {

constexpr uint32_t kBlock = 128;  // columns whose errors are passed on together
constexpr uint32_t kRows = 16;    // rows at a time, so that a part of U is used by all of them

QuantizedMatrix empty_matrix(uint32_t rows, uint32_t cols, const Settings& settings) {
  QuantizedMatrix matrix;
  matrix.bits = settings.bits;
  matrix.rows = rows;
  matrix.cols = cols;
  matrix.group_size = settings.group_size == 0 ? cols : settings.group_size;
  matrix.codes.resize(size_t{rows} * cols);
  matrix.scales.resize(size_t{rows} * matrix.groups());
  matrix.zeros.resize(size_t{rows} * matrix.groups());
  matrix.group_of.resize(cols);
  return matrix;
}

void store(QuantizedMatrix& matrix, uint32_t group, uint32_t row, const Range& range) {
  matrix.scales[size_t{group} * matrix.rows + row] = range.scale_bits;
  matrix.zeros[size_t{group} * matrix.rows + row] = static_cast<uint8_t>(range.zero);
}

// Rounds some rows. Holds them in the solver's order.
class RowSolver {
 public:
  RowSolver(std::span<float> weight, const Factor& factor, const Settings& settings,
            QuantizedMatrix& out)
      : weight_(weight), factor_(factor), settings_(settings), out_(out) {}

  // Returns the scales that did not fit.
  uint32_t run(uint32_t first, uint32_t count) {
    first_ = first;
    load(count);
    if (settings_.order == Order::fixed) fix_ranges();
    for (uint32_t begin = 0; begin < cols(); begin = end_of_block(begin)) {
      const uint32_t end = end_of_block(begin);
      if (settings_.order != Order::fixed && settings_.as_autogptq)
        for (uint32_t row = 0; row < count; ++row)
          for (uint32_t i = begin; i < end; ++i)
            if (i % out_.group_size == 0) begin_group(row, i);
      for (uint32_t row = 0; row < count; ++row) round_block(row, begin, end);
      pass_on(begin, end);
    }
    return clipped_;
  }

 private:
  uint32_t cols() const { return out_.cols; }
  float* row_of(uint32_t row) { return sorted_.data() + size_t{row} * cols(); }

  // A group's range is found from updated weights: no group may begin inside of a block and end
  // beyond.
  uint32_t end_of_block(uint32_t begin) const {
    const uint32_t group = out_.group_size;
    if (group < kBlock) return std::min(begin + kBlock / group * group, cols());
    return std::min(begin + kBlock, (begin / group + 1) * group);
  }

  void load(uint32_t count) {
    sorted_.resize(size_t{count} * cols());
    errors_.resize(size_t{count} * kBlock);
    ranges_.resize(size_t{count} * out_.groups());
    for (uint32_t row = 0; row < count; ++row)
      for (uint32_t i = 0; i < cols(); ++i)
        row_of(row)[i] = weight_[size_t{first_ + row} * cols() + factor_.order[i]];
    count_ = count;
  }

  Range& range(uint32_t row, uint32_t group) {
    return ranges_[size_t{row} * out_.groups() + group];
  }

  void set_range(uint32_t row, uint32_t group, std::span<const float> weights,
                 std::span<const float> importance) {
    const Range found = find_range(weights, importance, settings_);
    clipped_ += found.overflow ? 1 : 0;
    range(row, group) = found;
    store(out_, group, first_ + row, found);
  }

  // From the untouched weights of the stored groups.
  void fix_ranges() {
    std::vector<float> importance(cols());
    for (uint32_t i = 0; i < cols(); ++i) importance[factor_.order[i]] = factor_.at(i, i);
    for (uint32_t row = 0; row < count_; ++row) {
      const auto stored =
          std::span<const float>(weight_).subspan(size_t{first_ + row} * cols(), cols());
      for (uint32_t group = 0; group < out_.groups(); ++group)
        set_range(row, group, stored.subspan(size_t{group} * out_.group_size, out_.group_size),
                  std::span(importance).subspan(size_t{group} * out_.group_size, out_.group_size));
    }
  }

  void begin_group(uint32_t row, uint32_t i) {
    std::vector<float> importance(out_.group_size);
    for (uint32_t k = 0; k < out_.group_size; ++k) importance[k] = factor_.at(i + k, i + k);
    set_range(row, out_.group_of[factor_.order[i]], {row_of(row) + i, out_.group_size}, importance);
  }

  void round_block(uint32_t row, uint32_t begin, uint32_t end) {
    float* weights = row_of(row);
    float* errors = errors_.data() + size_t{row} * kBlock;
    for (uint32_t i = begin; i < end; ++i) {
      if (settings_.order != Order::fixed && !settings_.as_autogptq && i % out_.group_size == 0)
        begin_group(row, i);
      const uint32_t column = factor_.order[i];
      const Range& found = range(row, out_.group_of[column]);
      const int32_t code = found.code_of(weights[i], settings_.max_code());
      out_.codes[size_t{column} * out_.rows + first_ + row] = static_cast<uint8_t>(code);
      const float error = (weights[i] - found.value_of(code)) / factor_.at(i, i);
      errors[i - begin] = error;
      carry(weights, i, error, {i + 1, end});
    }
  }

  struct Columns {
    uint32_t first, last;
  };

  // What rounding column i changes in others behind it.
  void carry(float* weights, uint32_t i, float error, Columns to) const {
    const float* upper = &factor_.upper[size_t{i} * cols()];
    for (uint32_t j = to.first; j < to.last; ++j) weights[j] -= error * upper[j];
    if (factor_.pull.empty()) return;
    const float weight = weights[i];
    const float* pull = &factor_.pull[size_t{i} * cols()];
    for (uint32_t j = to.first; j < to.last; ++j) weights[j] += weight * pull[j];
  }

  // The columns behind the block, a few hundred at a time.
  void pass_on(uint32_t begin, uint32_t end) {
    constexpr uint32_t kSpan = 256;
    for (uint32_t first = end; first < cols(); first += kSpan) {
      const uint32_t last = std::min(first + kSpan, cols());
      for (uint32_t row = 0; row < count_; ++row) {
        float* weights = row_of(row);
        const float* errors = errors_.data() + size_t{row} * kBlock;
        for (uint32_t i = begin; i < end; ++i) carry(weights, i, errors[i - begin], {first, last});
      }
    }
  }

  std::span<float> weight_;
  const Factor& factor_;
  const Settings& settings_;
  QuantizedMatrix& out_;
  uint32_t first_ = 0, count_ = 0, clipped_ = 0;
  std::vector<float> sorted_;  // (rows, cols), in the solver's order
  std::vector<float> errors_;  // (rows, kBlock)
  std::vector<Range> ranges_;  // (rows, groups)
};

float dequantised(const QuantizedMatrix& matrix, uint32_t row, uint32_t col, float scale) {
  const int32_t code = matrix.codes[size_t{col} * matrix.rows + row];
  const int32_t zero = matrix.zeros[size_t{matrix.group_of[col]} * matrix.rows + row];
  return scale * static_cast<float>(code - zero);
}

// Rows of a matrix, side by side, so that each value of H is read once for all of them.
class RowBlock {
 public:
  explicit RowBlock(uint32_t cols) : cols_(cols), values_(size_t{cols} * kRows) {}

  double& at(uint32_t col, uint32_t row) { return values_[size_t{col} * kRows + row]; }

  // The sum of x H x^T over the rows x. From the lower half: the diagonal once, what is below it
  // twice.
  double energy(const Hessian& hessian) const {
    double total = 0;
    for (size_t i = 0; i < cols_; ++i) {
      const double* h = hessian.lower().data() + i * cols_;
      const double* x = values_.data() + i * kRows;
      std::array<double, kRows> sums{};
      for (size_t j = 0; j < i; ++j)
        for (size_t r = 0; r < kRows; ++r) sums[r] += h[j] * values_[j * kRows + r];
      for (size_t r = 0; r < kRows; ++r) total += x[r] * (2 * sums[r] + h[i] * x[r]);
    }
    return total;
  }

 private:
  uint32_t cols_;
  std::vector<double> values_;  // (cols, kRows)
};

}  // namespace

float QuantizedMatrix::value(uint32_t row, uint32_t col) const {
  const size_t at = size_t{group_of[col]} * rows + row;
  const float scale = to_floats(StoredType::f16, std::as_bytes(std::span(&scales[at], 1)))[0];
  return dequantised(*this, row, col, scale);
}

size_t QuantizedMatrix::subnormal_scales() const {
  return static_cast<size_t>(
      std::ranges::count_if(scales, [](uint16_t half) { return (half & 0x7c00) == 0; }));
}

QuantizedMatrix solve(std::span<float> weight, uint32_t rows, const Factor& factor,
                      const std::vector<bool>& dead, const Settings& settings) {
  const auto cols = static_cast<uint32_t>(factor.order.size());
  for (size_t row = 0; row < rows; ++row)
    for (size_t k = 0; k < cols; ++k)
      if (dead[k]) weight[row * cols + k] = 0;
  QuantizedMatrix out = empty_matrix(rows, cols, settings);
  for (uint32_t i = 0; i < cols; ++i) {
    const bool sorted = settings.order == Order::act || settings.order == Order::stored;
    out.group_of[factor.order[i]] = (sorted ? i : factor.order[i]) / out.group_size;
  }
  std::vector<uint32_t> clipped((rows + kRows - 1) / kRows);
  parallel_for(clipped.size(), settings.threads, [&](size_t i) {
    const auto first = static_cast<uint32_t>(i) * kRows;
    RowSolver solver(weight, factor, settings, out);
    clipped[i] = solver.run(first, std::min(kRows, rows - first));
  });
  for (const uint32_t count : clipped) out.clipped_scales += count;
  return out;
}

QuantizedMatrix round_to_nearest(std::span<const float> weight, uint32_t rows, uint32_t cols,
                                 const Settings& settings) {
  Settings plain = settings;
  if (plain.search == Search::weighted) plain.search = Search::none;  // no U says what counts
  QuantizedMatrix out = empty_matrix(rows, cols, plain);
  for (uint32_t k = 0; k < cols; ++k) out.group_of[k] = k / out.group_size;
  for (uint32_t row = 0; row < rows; ++row)
    for (uint32_t group = 0; group < out.groups(); ++group) {
      const size_t first = size_t{group} * out.group_size;
      const auto weights = weight.subspan(row * size_t{cols} + first, out.group_size);
      const Range range = find_range(weights, {}, plain);
      out.clipped_scales += range.overflow ? 1 : 0;
      store(out, group, row, range);
      for (size_t k = 0; k < weights.size(); ++k)
        out.codes[(first + k) * rows + row] =
            static_cast<uint8_t>(range.code_of(weights[k], plain.max_code()));
    }
  return out;
}

std::vector<double> relative_errors(std::span<const float> weight,
                                    const std::vector<const QuantizedMatrix*>& results,
                                    const Hessian& hessian, uint32_t threads) {
  const uint32_t rows = results.front()->rows, cols = results.front()->cols;
  std::vector<std::vector<float>> scales;
  for (const QuantizedMatrix* result : results)
    scales.push_back(to_floats(StoredType::f16, std::as_bytes(std::span(result->scales))));
  // By blocks of rows: what is lost for each of the results, then the whole.
  std::vector<std::vector<double>> sums((rows + kRows - 1) / kRows);
  parallel_for(sums.size(), threads, [&](size_t block) {
    const auto first = static_cast<uint32_t>(block) * kRows;
    const uint32_t count = std::min(kRows, rows - first);
    RowBlock values(cols);
    for (size_t i = 0; i <= results.size(); ++i) {
      for (uint32_t r = 0; r < count; ++r)
        for (uint32_t k = 0; k < cols; ++k) {
          const uint32_t row = first + r;
          const auto value = static_cast<double>(weight[size_t{row} * cols + k]);
          if (i == results.size()) {
            values.at(k, r) = value;
            continue;
          }
          const float scale = scales[i][size_t{results[i]->group_of[k]} * rows + row];
          values.at(k, r) = value - static_cast<double>(dequantised(*results[i], row, k, scale));
        }
      sums[block].push_back(values.energy(hessian));
    }
  });
  std::vector<double> total(results.size() + 1);
  for (const std::vector<double>& part : sums)
    for (size_t i = 0; i < total.size(); ++i) total[i] += part[i];
  const double whole = total.back();
  total.pop_back();
  for (double& lost : total) lost = whole > 0 ? lost / whole : 0;
  return total;
}

}  // namespace ropewalk::quantize
