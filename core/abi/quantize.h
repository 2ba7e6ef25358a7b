// quantize.h — the extension "quantize.v1": quantising a matrix on a device.
//
//   H      sum of x x^T over tokens                   gram()
//   U      the reversed inverse of H's factor         factor()
//   codes  of W, nearest or by GPTQ                   take(), nearest(), solve()
//   x H x  what a rounded matrix loses                in nearest() and solve(), energies()
//
// The host's solver (core/quantize) does the same where a device lacks it. H and U are summed in
// another order here, so that bits differ from the host's; on one device they are the same on every
// run. From the same U both make the same codes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/abi/graph.h"
#include "core/abi/status.h"

namespace ropewalk::abi {

inline constexpr std::string_view kQuantize = "quantize.v1";

// How a group of weights gets its scale and its zero point: see core/quantize/range.h.
struct RangeRules {
  uint32_t bits;
  uint32_t group_size;  // weights of an output that share them
  bool symmetric;
  bool zero_from_one;  // z is at least 1
  bool search;         // factors 1.10 to 0.51 are tried; only solve() knows which costs least
};

// The columns of W in the order in which they are rounded: that which factor() was given.
struct ColumnGroups {
  std::span<const uint32_t> of_place;  // (inputs)
  bool fixed;  // their ranges are those of the untouched W; else found as a group begins
};

// A rounded matrix of (rows, inputs). What is not wanted is empty.
struct RoundedRows {
  std::span<uint8_t> codes;    // (inputs, rows)
  std::span<uint16_t> scales;  // (groups, rows), f16
  std::span<uint8_t> zeros;    // (groups, rows)
  uint32_t clipped = 0;        // scales too large for f16
  double lost = 0;             // sum of x H x^T over the rows of what rounding changed
};

// What extension(kQuantize) answers; the device owns it. Called as the device itself is: from one
// thread at a time. All matrices are row-major.
class QuantizeSolver {
 public:
  // Takes memory for an H of so many inputs, which is 0, and frees an earlier one.
  virtual Status begin(uint32_t inputs) noexcept = 0;
  // H += x^T x. `x` (tokens, inputs) is in the device's memory, f16, or f32 that is rounded to it.
  // Sums of a few thousand tokens in f32, those in f64. *fits: no value was beyond f16.
  virtual Status gram(const Slice& x, DType dtype, bool* fits) noexcept = 0;
  virtual Status diagonal(std::span<double> values) noexcept = 0;
  // H (inputs, inputs), of which only the lower half is meaningful.
  virtual Status read_gram(std::span<double> lower) noexcept = 0;

  // Of A with L L^T = A, U[i][j] = (L^-1)[n-1-i][n-1-j], upper, in f64 and rounded to f32. A is H
  // with `diagonal` in its diagonal's place, and its rows and columns `order` from the last to the
  // first. Where A is not positive definite, `*positive` is false. U stays; gram() is not called
  // any more.
  virtual Status factor(std::span<const uint32_t> order, std::span<const double> diagonal,
                        bool* positive) noexcept = 0;
  virtual Status read_upper(std::span<float> upper) noexcept = 0;

  // W (rows, inputs). *energy: sum of x H x^T over its rows.
  virtual Status take(std::span<const float> weight, uint32_t rows, double* energy) noexcept = 0;
  // Each weight to its nearest code; groups as stored. REQUIRES: take().
  virtual Status nearest(const RangeRules& rules, RoundedRows* result) noexcept = 0;
  // By GPTQ; columns whose H_kk is 0 count as 0. REQUIRES: take() and factor().
  virtual Status solve(const RangeRules& rules, const ColumnGroups& groups,
                       RoundedRows* result) noexcept = 0;
  // sums[r] = x H x^T for row r of `x` (rows, inputs), for what was rounded elsewhere.
  virtual Status energies(std::span<const float> x, std::span<double> sums) noexcept = 0;
  // Frees what begin() and the others took.
  virtual void end() noexcept = 0;

  // to = from, both in the device's memory. *first_bad: the first value that is not finite, else
  // UINT32_MAX.
  virtual Status copy(const Slice& to, const Slice& from, DType dtype,
                      uint32_t* first_bad) noexcept = 0;

 protected:
  ~QuantizeSolver() = default;
};

}  // namespace ropewalk::abi
