// op_case.h — one op on one step: its graph, its inputs and its truth in one place.
//
//   OpCase c(rows);
//   const Input a = c.random_input({77}), b = c.random_input({77});
//   const uint32_t y = c.op(abi::Op::add, {a, b}, {77}, abi::AddParams{});
//   c.expect(ToleranceClass::add, y, [&](uint32_t r, uint32_t i) { return a(r, i) + b(r, i); });
//
// The truth is computed in double from the stored numbers and shares no code with a backend.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/ops/harness/session.h"
#include "tests/ops/harness/tolerances.h"

namespace ropewalk::test {

// An activation and its values: (rows, width).
struct Input {
  uint32_t tensor, width;
  std::vector<float> values;

  operator uint32_t() const { return tensor; }
  double operator()(uint32_t row, uint32_t column) const {
    return static_cast<double>(values[uint64_t{row} * width + column]);
  }
};

struct OpCase {
  // A step of `rows` rows of one sequence, in a program for just these. Both may be changed.
  explicit OpCase(uint32_t rows);

  // (R, dims...) with these values, or with random ones.
  Input input(const std::vector<uint32_t>& dims, std::vector<float> values);
  Input random_input(const std::vector<uint32_t>& dims);
  // A node that writes (R, dims...). Returns the tensor that it writes.
  uint32_t op(abi::Op op, std::vector<uint32_t> in, const std::vector<uint32_t>& dims,
              const abi::NodeParams& params);

  // What `tensor` must hold after the step: a function of row and column, or the values.
  void expect(ToleranceClass kind, uint32_t tensor,
              const std::function<double(uint32_t, uint32_t)>& truth);
  void expect_values(ToleranceClass kind, uint32_t tensor, std::vector<double> truth);

  struct Expected {
    ToleranceClass kind;
    uint32_t tensor;
    std::vector<double> truth;
  };

  Case graph;
  StepData step;
  abi::ProgramShape shape;
  Random random;
  std::vector<Input> inputs;
  std::vector<Expected> expected;

 private:
  uint32_t activation(const std::string& name, const std::vector<uint32_t>& dims);
};

}  // namespace ropewalk::test
