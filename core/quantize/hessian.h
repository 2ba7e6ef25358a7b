// hessian.h — H = sum over tokens of x x^T, what a linear layer's inputs are like.
//
// The scale of H does not matter to the solver, so it is not divided by anything. Owns the matrix.
// Not thread-safe; add() uses threads of its own, and the sums do not depend on their number.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ropewalk::quantize {

class Hessian {
 public:
  explicit Hessian(uint32_t inputs) : inputs_(inputs), sums_(size_t{inputs} * inputs) {}

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

}  // namespace ropewalk::quantize
