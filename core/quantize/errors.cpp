#include "core/quantize/errors.h"

#include <algorithm>
#include <utility>

#include "core/base/parallel.h"
#include "core/checkpoint/weights/finite.h"
#include "core/quantize/kernels.h"

namespace ropewalk::quantize {
namespace {

constexpr uint32_t kRowsAtOnce = 64;  // of the matrix: each value of H is read once for all of them
constexpr uint32_t kTileRows = 64, kTileColumns = 256;  // of H
constexpr uint32_t kPad = 32;  // to so many columns, so that the kernel's vectors are full

// The rows x of which x H x^T is wanted, side by side: (cols, width). Column form * rows + r is row
// r of the form.
class Forms {
 public:
  Forms(uint32_t cols, uint32_t rows, uint32_t forms)
      : cols_(cols),
        rows_(rows),
        forms_(forms),
        width_((rows * forms + kPad - 1) / kPad * kPad),
        values_(size_t{cols} * width_) {}

  float* at(uint32_t col, uint32_t form) {
    return values_.data() + size_t{col} * width_ + form * rows_;
  }

  // By form: the sum of x H x^T over its rows.
  std::vector<double> energies(const Hessian& hessian) const {
    std::vector<double> energies(forms_), columns(width_);
    std::vector<float> tile(size_t{kTileRows} * kTileColumns), sums(size_t{kTileRows} * width_);
    for (uint32_t row = 0; row < cols_; row += kTileRows)
      for (uint32_t col = 0; col <= row; col += kTileColumns) {
        const uint32_t rows = std::min(kTileRows, cols_ - row);
        const uint32_t count = std::min(kTileColumns, std::min(row + kTileRows, cols_) - col);
        load(hessian, {row, rows, col, count}, tile);
        std::ranges::fill(sums, 0.0f);
        kernels().add_f32({.y = sums.data(),
                           .a = tile.data(),
                           .b = values_.data() + size_t{col} * width_,
                           .y_stride = width_,
                           .a_row = kTileColumns,
                           .a_depth = 1,
                           .b_stride = width_,
                           .rows = rows,
                           .depth = count,
                           .columns = width_});
        for (uint32_t i = 0; i < rows; ++i) {
          const float* x = values_.data() + size_t{row + i} * width_;
          const float* sum = sums.data() + size_t{i} * width_;
          for (uint32_t c = 0; c < width_; ++c)
            columns[c] += static_cast<double>(x[c]) * static_cast<double>(sum[c]);
        }
      }
    for (uint32_t form = 0; form < forms_; ++form)
      for (uint32_t r = 0; r < rows_; ++r) energies[form] += columns[form * rows_ + r];
    return energies;
  }

 private:
  struct Part {
    uint32_t row, rows, col, cols;
  };

  // From the lower half: what is below the diagonal counts twice, what is above not at all.
  void load(const Hessian& hessian, const Part& part, std::vector<float>& tile) const {
    for (uint32_t i = 0; i < part.rows; ++i) {
      const uint32_t row = part.row + i;
      const double* h = hessian.lower().data() + size_t{row} * cols_ + part.col;
      float* out = tile.data() + size_t{i} * kTileColumns;
      for (uint32_t j = 0; j < part.cols; ++j)
        out[j] = part.col + j < row ? 2 * static_cast<float>(h[j]) : 0;
      if (row < part.col + part.cols && row >= part.col)
        out[row - part.col] = static_cast<float>(h[row - part.col]);
    }
  }

  uint32_t cols_, rows_, forms_, width_;
  std::vector<float> values_;
};

// Rows [first, first + count) of what each of the results lacks, and of the weights.
Forms forms_of(std::span<const float> weight, const std::vector<const QuantizedMatrix*>& results,
               const std::vector<std::vector<float>>& scales, uint32_t first, uint32_t count) {
  const uint32_t rows = results.front()->rows, cols = results.front()->cols;
  const auto forms = static_cast<uint32_t>(results.size());
  Forms values(cols, count, forms + 1);
  for (uint32_t k = 0; k < cols; ++k) {
    float* whole = values.at(k, forms);
    for (uint32_t r = 0; r < count; ++r) whole[r] = weight[size_t{first + r} * cols + k];
    for (uint32_t form = 0; form < forms; ++form) {
      const QuantizedMatrix& result = *results[form];
      const float* scale = scales[form].data() + size_t{result.group_of[k]} * rows + first;
      float* lost = values.at(k, form);
      for (uint32_t r = 0; r < count; ++r)
        lost[r] = whole[r] - result.value(first + r, k, scale[r]);
    }
  }
  return values;
}

std::vector<std::vector<float>> scales_of(const std::vector<const QuantizedMatrix*>& results) {
  std::vector<std::vector<float>> scales;
  for (const QuantizedMatrix* result : results)
    scales.push_back(to_floats(StoredType::f16, std::as_bytes(std::span(result->scales))));
  return scales;
}

// Of what each result lost and, last, the whole.
std::vector<double> shares_of(std::vector<double> energies) {
  const double whole = energies.back();
  energies.pop_back();
  for (double& lost : energies) lost = whole > 0 ? lost / whole : 0;
  return energies;
}

}  // namespace

std::vector<double> relative_errors(std::span<const float> weight,
                                    const std::vector<const QuantizedMatrix*>& results,
                                    const Hessian& hessian, uint32_t threads) {
  const uint32_t rows = results.front()->rows;
  const std::vector<std::vector<float>> scales = scales_of(results);
  std::vector<std::vector<double>> sums((rows + kRowsAtOnce - 1) / kRowsAtOnce);
  parallel_for(sums.size(), threads, [&](size_t block) {
    const auto first = static_cast<uint32_t>(block) * kRowsAtOnce;
    const uint32_t count = std::min(kRowsAtOnce, rows - first);
    sums[block] = forms_of(weight, results, scales, first, count).energies(hessian);
  });
  std::vector<double> total(results.size() + 1);
  for (const std::vector<double>& part : sums)
    for (size_t i = 0; i < total.size(); ++i) total[i] += part[i];
  return shares_of(std::move(total));
}

std::vector<double> relative_errors(std::span<const float> weight,
                                    const std::vector<const QuantizedMatrix*>& results,
                                    const Energy& energy, uint32_t threads) {
  const std::vector<std::vector<float>> scales = scales_of(results);
  const uint32_t rows = results.front()->rows, cols = results.front()->cols;
  std::vector<double> energies;
  std::vector<float> lost(weight.size());
  for (size_t form = 0; form < results.size(); ++form) {
    const QuantizedMatrix& result = *results[form];
    parallel_for((rows + kRowsAtOnce - 1) / kRowsAtOnce, threads, [&](size_t block) {
      const size_t first = block * kRowsAtOnce, last = std::min<size_t>(first + kRowsAtOnce, rows);
      for (uint32_t k = 0; k < cols; ++k) {
        const float* scale = scales[form].data() + size_t{result.group_of[k]} * rows;
        for (size_t row = first; row < last; ++row)
          lost[row * cols + k] =
              weight[row * cols + k] - result.value(static_cast<uint32_t>(row), k, scale[row]);
      }
    });
    energies.push_back(energy(lost));
  }
  energies.push_back(energy(weight));
  return shares_of(std::move(energies));
}

}  // namespace ropewalk::quantize
