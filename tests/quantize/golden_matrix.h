// golden_matrix.h — a layer of 8 outputs and 16 inputs with 64 tokens, one input of which is dead.
//
// Made of integers, so that every value is exact; the answers in golden_test.cpp were computed in
// double precision by other code.
#pragma once

#include <cmath>
#include <vector>

#include "core/quantize/hessian.h"

namespace ropewalk::test {

inline constexpr uint32_t kOutputs = 8, kInputs = 16, kTokens = 64;

inline std::vector<float> golden_weight() {
  std::vector<float> weight;
  for (int n = 0; n < 8; ++n)
    for (int k = 0; k < 16; ++k)
      weight.push_back(static_cast<float>((37 * n + 101 * k + 7 * n * k) % 257 - 128) / 256);
  return weight;
}

inline std::vector<float> golden_inputs() {
  std::vector<float> inputs;
  for (int t = 0; t < 64; ++t)
    for (int k = 0; k < 16; ++k)
      inputs.push_back(
          k == 5
              ? 0
              : std::ldexp(
                    static_cast<float>((53 * t + 29 * k + 11 * t * k + 5 * t * t) % 127 - 63) / 32,
                    -(k % 4)));
  return inputs;
}

// What the dense model has there; the dead input too.
inline std::vector<float> golden_dense_inputs() {
  std::vector<float> inputs = golden_inputs();
  for (int t = 0; t < 64; ++t)
    for (int k = 0; k < 16; ++k)
      inputs[static_cast<size_t>(16 * t + k)] +=
          std::ldexp(static_cast<float>((17 * t + 31 * k + 3 * t * k) % 61 - 30) / 64, -(k % 4));
  return inputs;
}

inline quantize::Hessian golden_hessian() {
  quantize::Hessian hessian(kInputs);
  hessian.add(golden_inputs(), 1);
  return hessian;
}

// Pseudo-random values of about a standard deviation of 1, the same everywhere.
class Noise {
 public:
  explicit Noise(uint64_t seed) : state_(seed) {}
  float next() {
    float sum = 0;
    for (int i = 0; i < 3; ++i) {
      state_ = state_ * 6364136223846793005u + 1442695040888963407u;
      sum += static_cast<float>(state_ >> 40) * 0x1p-23f - 1;
    }
    return sum;
  }
  std::vector<float> values(size_t count) {
    std::vector<float> out(count);
    for (float& value : out) value = next();
    return out;
  }

 private:
  uint64_t state_;
};

// Inputs of which some are much larger than others, as in real layers.
inline std::vector<float> uneven_inputs(uint32_t tokens, uint32_t inputs, uint64_t seed) {
  Noise noise(seed);
  std::vector<float> x = noise.values(size_t{tokens} * inputs);
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t k = i % inputs;
    x[i] = x[i] * (k % 7 == 3 ? 4.0f : 0.5f) + (k > 0 ? 0.5f * x[i - 1] : 0);
  }
  return x;
}

}  // namespace ropewalk::test
