#include "core/quantize/solve.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "core/base/parallel.h"
#include "core/checkpoint/weights/finite.h"
#include "core/quantize/kernels.h"
#include "core/quantize/range.h"

namespace ropewalk::quantize {
namespace {

constexpr uint32_t kBlock = 128;  // columns whose errors are passed on together
constexpr uint32_t kRows = 64;    // rows at a time, so that a part of U is used by all of them
constexpr uint32_t kSpan = 128;   // columns that errors are passed on to at a time

void store(QuantizedMatrix& matrix, uint32_t group, uint32_t row, const Range& range) {
  matrix.scales[size_t{group} * matrix.rows + row] = range.scale_bits;
  matrix.zeros[size_t{group} * matrix.rows + row] = static_cast<uint8_t>(range.zero);
}

// Calls body(first row, last row) for blocks of rows and adds up what it returns.
uint32_t over_rows(uint32_t rows, uint32_t threads,
                   const std::function<uint32_t(uint32_t first, uint32_t last)>& body) {
  std::vector<uint32_t> counts((rows + kRows - 1) / kRows);
  parallel_for(counts.size(), threads, [&](size_t i) {
    const auto first = static_cast<uint32_t>(i) * kRows;
    counts[i] = body(first, std::min(first + kRows, rows));
  });
  return std::accumulate(counts.begin(), counts.end(), 0u);
}

// Rounds some rows. Holds them in the solver's order.
class RowSolver {
 public:
  RowSolver(std::span<float> weight, const Factor& factor, const Settings& settings,
            QuantizedMatrix& out)
      : weight_(weight),
        factor_(factor),
        settings_(settings),
        out_(out),
        terms_(factor.pull.empty() ? 1 : 2),
        importance_(factor.order.size()) {
    for (uint32_t i = 0; i < cols(); ++i) importance_[i] = factor.at(i, i);
  }

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
    return std::min({begin + kBlock, (begin / group + 1) * group, cols()});
  }

  void load(uint32_t count) {
    sorted_.resize(size_t{count} * cols());
    passed_.resize(size_t{count} * kBlock * terms_);
    span_.resize(size_t{kBlock} * terms_ * kSpan);
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
    for (uint32_t i = 0; i < cols(); ++i) importance[factor_.order[i]] = importance_[i];
    for (uint32_t row = 0; row < count_; ++row) {
      const auto stored =
          std::span<const float>(weight_).subspan(size_t{first_ + row} * cols(), cols());
      for (uint32_t group = 0; group < out_.groups(); ++group)
        set_range(
            row, group, stored.subspan(size_t{group} * out_.group_size, out_.columns_of(group)),
            std::span(importance).subspan(size_t{group} * out_.group_size, out_.columns_of(group)));
    }
  }

  void begin_group(uint32_t row, uint32_t i) {
    const uint32_t group = out_.group_of[factor_.order[i]], count = out_.columns_of(group);
    set_range(row, group, {row_of(row) + i, count}, std::span(importance_).subspan(i, count));
  }

  void round_block(uint32_t row, uint32_t begin, uint32_t end) {
    float* weights = row_of(row);
    float* passed = passed_.data() + size_t{row} * kBlock * terms_;
    for (uint32_t i = begin; i < end; ++i) {
      if (settings_.order != Order::fixed && !settings_.as_autogptq && i % out_.group_size == 0)
        begin_group(row, i);
      const uint32_t column = factor_.order[i];
      const Range& found = range(row, out_.group_of[column]);
      const int32_t code = found.code_of(weights[i], settings_.max_code());
      out_.codes[size_t{column} * out_.rows + first_ + row] = static_cast<uint8_t>(code);
      const float error = (weights[i] - found.value_of(code)) / importance_[i];
      *passed++ = -error;
      if (terms_ == 2) *passed++ = weights[i];
      carry(weights, i, error, end);
    }
  }

  // What rounding column i changes in those behind it, up to the block's end.
  void carry(float* weights, uint32_t i, float error, uint32_t end) const {
    const float* upper = &factor_.upper[size_t{i} * cols()];
    for (uint32_t j = i + 1; j < end; ++j) weights[j] -= error * upper[j];
    if (factor_.pull.empty()) return;
    const float weight = weights[i];
    const float* pull = &factor_.pull[size_t{i} * cols()];
    for (uint32_t j = i + 1; j < end; ++j) weights[j] += weight * pull[j];
  }

  // What it changes in the columns behind the block: for each column of the block its row of U
  // times the negative error, then that of P times the weight, in this order.
  void pass_on(uint32_t begin, uint32_t end) {
    for (uint32_t first = end; first < cols(); first += kSpan) {
      const uint32_t columns = std::min(kSpan, cols() - first);
      float* to = span_.data();
      for (uint32_t i = begin; i < end; ++i)
        for (const std::vector<float>* from : {&factor_.upper, &factor_.pull})
          if (!from->empty()) {
            std::copy_n(from->data() + size_t{i} * cols() + first, columns, to);
            to += kSpan;
          }
      kernels().add_f32({.y = row_of(0) + first,
                         .a = passed_.data(),
                         .b = span_.data(),
                         .y_stride = cols(),
                         .a_row = kBlock * terms_,
                         .a_depth = 1,
                         .b_stride = kSpan,
                         .rows = count_,
                         .depth = (end - begin) * terms_,
                         .columns = columns});
    }
  }

  std::span<float> weight_;
  const Factor& factor_;
  const Settings& settings_;
  QuantizedMatrix& out_;
  uint32_t terms_;  // 1 of U, 2 where there is a P
  uint32_t first_ = 0, count_ = 0, clipped_ = 0;
  std::vector<float> sorted_;      // (rows, cols), in the solver's order
  std::vector<float> importance_;  // U's diagonal
  std::vector<float> passed_;      // (rows, kBlock, terms): what is passed on of each column
  std::vector<float> span_;        // (kBlock, terms, kSpan): by how much
  std::vector<Range> ranges_;      // (rows, groups)
};

}  // namespace

float QuantizedMatrix::value(uint32_t row, uint32_t col) const {
  const size_t at = size_t{group_of[col]} * rows + row;
  const float scale = to_floats(StoredType::f16, std::as_bytes(std::span(&scales[at], 1)))[0];
  return value(row, col, scale);
}

size_t QuantizedMatrix::subnormal_scales() const {
  return static_cast<size_t>(
      std::ranges::count_if(scales, [](uint16_t half) { return (half & 0x7c00) == 0; }));
}

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
  for (uint32_t k = 0; k < cols; ++k) matrix.group_of[k] = k / matrix.group_size;
  return matrix;
}

QuantizedMatrix empty_matrix_in(uint32_t rows, const Factor& factor, const Settings& settings) {
  QuantizedMatrix matrix = empty_matrix(rows, static_cast<uint32_t>(factor.order.size()), settings);
  if (settings.order == Order::act || settings.order == Order::stored)
    for (uint32_t i = 0; i < matrix.cols; ++i)
      matrix.group_of[factor.order[i]] = i / matrix.group_size;
  return matrix;
}

QuantizedMatrix solve(std::span<float> weight, uint32_t rows, const Factor& factor,
                      const std::vector<bool>& dead, const Settings& settings) {
  const auto cols = static_cast<uint32_t>(factor.order.size());
  for (size_t row = 0; row < rows; ++row)
    for (size_t k = 0; k < cols; ++k)
      if (dead[k]) weight[row * cols + k] = 0;
  QuantizedMatrix out = empty_matrix_in(rows, factor, settings);
  out.clipped_scales = over_rows(rows, settings.threads, [&](uint32_t first, uint32_t last) {
    RowSolver solver(weight, factor, settings, out);
    return solver.run(first, last - first);
  });
  return out;
}

QuantizedMatrix round_to_nearest(std::span<const float> weight, uint32_t rows, uint32_t cols,
                                 const Settings& settings) {
  Settings plain = settings;
  if (plain.search == Search::weighted) plain.search = Search::none;  // no U says what counts
  QuantizedMatrix out = empty_matrix(rows, cols, plain);
  const auto round_rows = [&](uint32_t first, uint32_t last) {
    uint32_t clipped = 0;
    for (uint32_t row = first; row < last; ++row)
      for (uint32_t group = 0; group < out.groups(); ++group) {
        const size_t begin = size_t{group} * out.group_size;
        const auto weights = weight.subspan(row * size_t{cols} + begin, out.columns_of(group));
        const Range range = find_range(weights, {}, plain);
        clipped += range.overflow ? 1 : 0;
        store(out, group, row, range);
        for (size_t k = 0; k < weights.size(); ++k)
          out.codes[(begin + k) * rows + row] =
              static_cast<uint8_t>(range.code_of(weights[k], plain.max_code()));
      }
    return clipped;
  };
  out.clipped_scales = over_rows(rows, settings.threads, round_rows);
  return out;
}

}  // namespace ropewalk::quantize
