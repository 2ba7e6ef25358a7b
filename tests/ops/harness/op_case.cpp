#include "tests/ops/harness/op_case.h"

#include <utility>

namespace ropewalk::test {

OpCase::OpCase(uint32_t rows) : step(plain_step(rows)), shape{rows, rows, 1, 1}, random(rows) {}

uint32_t OpCase::activation(const std::string& name, const std::vector<uint32_t>& dims) {
  std::vector<uint32_t> all = {abi::kRows};
  all.insert(all.end(), dims.begin(), dims.end());
  return graph.activation(name, all);
}

Input OpCase::input(const std::vector<uint32_t>& dims, std::vector<float> values) {
  const uint32_t tensor = activation("x" + std::to_string(inputs.size()), dims);
  inputs.push_back({tensor, static_cast<uint32_t>(graph.width(tensor)), std::move(values)});
  return inputs.back();
}

Input OpCase::random_input(const std::vector<uint32_t>& dims) {
  uint64_t count = step.position.size();
  for (const uint32_t dim : dims) count *= dim;
  return input(dims, random.values(count));
}

uint32_t OpCase::op(abi::Op op, std::vector<uint32_t> in, const std::vector<uint32_t>& dims,
                    const abi::NodeParams& params) {
  const uint32_t y = activation("y", dims);
  graph.node(op, std::move(in), {y}, params);
  return y;
}

void OpCase::expect(ToleranceClass kind, uint32_t tensor,
                    const std::function<double(uint32_t, uint32_t)>& truth) {
  const auto width = static_cast<uint32_t>(graph.width(tensor));
  std::vector<double> values;
  for (uint32_t r = 0; r < graph.rows(tensor, step); ++r)
    for (uint32_t i = 0; i < width; ++i) values.push_back(truth(r, i));
  expect_values(kind, tensor, std::move(values));
}

void OpCase::expect_values(ToleranceClass kind, uint32_t tensor, std::vector<double> truth) {
  expected.push_back({kind, tensor, std::move(truth)});
}

}  // namespace ropewalk::test
