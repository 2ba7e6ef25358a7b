// hessian.h — H = sum over tokens of x x^T, what a linear layer's inputs are like; and D = sum of
// (d - x) x^T, how far they are from the inputs d that the dense model has there.
//
// The scale of H does not matter to the solver, so it is not divided by anything; D has the same.
// Owns the matrix. Not thread-safe; add() uses threads of its own, and the sums do not depend on
// their number.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace ropewalk::quantize {

class Hessian {
 public:
  explicit Hessian(uint32_t inputs) : inputs_(inputs), sums_(size_t{inputs} * inputs) {}
  // Takes what was summed elsewhere, as lower() gives it.
  Hessian(uint32_t inputs, uint64_t tokens, std::vector<double> lower)
      : inputs_(inputs), tokens_(tokens), sums_(std::move(lower)) {}

  // x (tokens, inputs). Sums of 128 tokens in f32, those in f64: products of f16 values are exact
  // in f32.
  void add(std::span<const float> x, uint32_t threads);

  uint32_t inputs() const { return inputs_; }
  uint64_t tokens() const { return tokens_; }

  // (inputs, inputs), of which only the lower half is filled: column <= row.
  const std::vector<double>& lower() const { return sums_; }

 private:
  uint32_t inputs_;
  uint64_t tokens_ = 0;
  std::vector<double> sums_;
};

class Shift {
 public:
  explicit Shift(uint32_t inputs) : inputs_(inputs), sums_(size_t{inputs} * inputs) {}

  // Both (tokens, inputs). Sums as Hessian's.
  void add(std::span<const float> x, std::span<const float> dense, uint32_t threads);

  uint32_t inputs() const { return inputs_; }

  // (inputs, inputs): row of d - x, column of x.
  const std::vector<double>& sums() const { return sums_; }

 private:
  uint32_t inputs_;
  std::vector<double> sums_;
};

}  // namespace ropewalk::quantize
