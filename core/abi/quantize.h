// quantize.h — the extension "quantize.v1": what quantising a matrix costs most, on a device.
//
//   H      sum of x x^T over tokens                   gram(), read_gram()
//   U      the reversed inverse of H's factor         factor()
//   x H x  what a rounded matrix loses                energies()
//
// The host's solver (core/quantize) does the same where a device lacks it. Sums run in another
// order here, so that bits differ from the host's; on one device they are the same on every run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/abi/status.h"

namespace ropewalk::abi {

inline constexpr std::string_view kQuantize = "quantize.v1";

struct SymmetricMatrix {
  std::span<const double> lower;  // (n, n), of which only the lower half is read
  uint32_t n;
};

// What extension(kQuantize) answers; the device owns it. Called as the device itself is: from one
// thread at a time. All matrices are row-major.
class QuantizeSolver {
 public:
  // Takes memory for an H of so many inputs, which is 0, and frees an earlier one.
  virtual Status begin(uint32_t inputs) noexcept = 0;
  // H += x^T x. `x` (tokens, inputs), f16. Sums of a few thousand tokens in f32, those in f64.
  // REQUIRES: begin().
  virtual Status gram(std::span<const std::byte> x) noexcept = 0;
  // H (inputs, inputs), of which only the lower half is meaningful.
  virtual Status read_gram(std::span<double> lower) noexcept = 0;
  // sums[r] = x H x^T for row r of `x` (rows, inputs), in f64. REQUIRES: begin().
  virtual Status energies(std::span<const float> x, std::span<double> sums) noexcept = 0;
  // Frees H.
  virtual void end() noexcept = 0;

  // Of A (n, n), given by its lower half, with L L^T = A: U[i][j] = (L^-1)[n-1-i][n-1-j], upper, in
  // f64 and rounded to f32. Where A is not positive definite, `*positive` is false.
  virtual Status factor(const SymmetricMatrix& matrix, std::span<float> upper,
                        bool* positive) noexcept = 0;

 protected:
  ~QuantizeSolver() = default;
};

}  // namespace ropewalk::abi
