// gated_case.h — y = activation(gate) * up, the case of silu_mul and gelu_mul.
#pragma once

#include <utility>
#include <vector>

#include "tests/ops/op_test.h"

namespace ropewalk::test {

// (rows, width) each; `activation` takes and returns a double.
template <class Activation>
OpCase gated_case(abi::Op op, uint32_t rows, std::vector<float> gates, std::vector<float> ups,
                  Activation activation) {
  const uint32_t width = static_cast<uint32_t>(gates.size()) / rows;
  OpCase c(rows);
  const Input gate = c.input({width}, std::move(gates)), up = c.input({width}, std::move(ups));
  const uint32_t y = c.op(op, {gate, up}, {width}, {});
  c.expect(ToleranceClass::silu, y,
           [&](uint32_t r, uint32_t i) { return activation(gate(r, i)) * up(r, i); });
  return c;
}

// Gates of an odd width, drawn from -`largest` to `largest`.
template <class Activation>
OpCase random_gated_case(abi::Op op, uint32_t rows, float largest, Activation activation) {
  constexpr uint32_t kWidth = 77;
  Random random(rows);
  std::vector<float> gates = random.values(rows * kWidth);
  for (float& gate : gates) gate *= largest;
  return gated_case(op, rows, std::move(gates), random.values(rows * kWidth), activation);
}

}  // namespace ropewalk::test
