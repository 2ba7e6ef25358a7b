#include "tests/ops/harness/case.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "tests/ops/harness/half.h"

namespace ropewalk::test {
namespace {

using abi::DType;
using abi::TensorKind;

template <class Element>
std::vector<std::byte> bytes_of(const std::vector<Element>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(Element));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

}  // namespace

// As abi::Step asks, the rows of sequences with several rows come first.
uint32_t StepData::prompt_rows() const {
  uint32_t rows = 0;
  for (uint32_t r = 0; r < sequence.size(); ++r) {
    if (std::ranges::count(sequence, sequence[r]) == 1) continue;
    if (r > rows) throw std::runtime_error("the test's step has rows of a prompt behind others");
    ++rows;
  }
  return rows;
}

abi::Step StepData::view() const {
  abi::Step step;
  step.rows = static_cast<uint32_t>(position.size());
  step.prompt_rows = prompt_rows();
  step.sequences = static_cast<uint32_t>(length.size());
  step.token = token;
  step.position = position;
  step.sequence = sequence;
  step.length = length;
  step.page = page;
  step.wanted = wanted;
  step.inv_freq = inv_freq;
  step.adapter = adapter;
  return step;
}

StepData plain_step(uint32_t rows) {
  StepData step;
  step.token.resize(rows);
  step.position.resize(rows);
  step.wanted.resize(rows);
  std::iota(step.position.begin(), step.position.end(), 0u);
  std::iota(step.wanted.begin(), step.wanted.end(), 0u);
  step.sequence.assign(rows, 0);
  step.length = {rows};
  step.page = {0};
  return step;
}

uint32_t Case::add(const std::string& name, TensorKind kind, DType dtype,
                   std::vector<uint32_t> dims) {
  GraphTensor tensor;
  tensor.name = name;
  tensor.kind = kind;
  tensor.dtype = dtype;
  tensor.dims = std::move(dims);
  return graph_.add_tensor(std::move(tensor));
}

uint64_t Case::width(uint32_t tensor) const {
  const std::vector<uint32_t>& dims = graph_.tensors[tensor].dims;
  return std::accumulate(dims.begin() + 1, dims.end(), uint64_t{1}, std::multiplies<>());
}

uint32_t Case::rows(uint32_t tensor, const StepData& step) const {
  const bool wanted = graph_.tensors[tensor].dims[0] == abi::kWanted;
  return static_cast<uint32_t>(wanted ? step.wanted.size() : step.position.size());
}

// gptq stands for "the device's activation type", which no activation can have itself.
uint32_t Case::activation(const std::string& name, std::vector<uint32_t> dims) {
  return add(name, TensorKind::scratch, DType::gptq, std::move(dims));
}

uint32_t Case::logits(const std::string& name, std::vector<uint32_t> dims) {
  return add(name, TensorKind::scratch, DType::f32, std::move(dims));
}

uint32_t Case::vector(const std::string& name, const std::vector<float>& values) {
  const uint32_t tensor =
      add(name, TensorKind::constant, DType::f32, {static_cast<uint32_t>(values.size())});
  contents_[tensor] = bytes_of(values);
  return tensor;
}

uint32_t Case::order(const std::string& name, const std::vector<uint32_t>& values) {
  const uint32_t tensor =
      add(name, TensorKind::constant, DType::i32, {static_cast<uint32_t>(values.size())});
  contents_[tensor] = bytes_of(values);
  return tensor;
}

uint32_t Case::weight(const std::string& name, const StoredWeight& weight) {
  const abi::Weight& w = weight.shape;
  std::vector<uint32_t> dims = {w.rows, w.cols};
  if (w.use == abi::WeightUse::embed) dims = {w.cols, w.rows};
  const uint32_t tensor = add(name, TensorKind::weight, w.dtype, dims);
  graph_.tensors[tensor].bits = w.bits;
  graph_.tensors[tensor].group_size = w.group_size;
  stored_[tensor] = weight;
  return tensor;
}

uint32_t Case::matrices(const std::string& name, std::vector<uint32_t> dims,
                        const std::vector<float>& values) {
  const uint32_t tensor = add(name, TensorKind::adapter, DType::f16, std::move(dims));
  std::vector<uint16_t> halves;
  for (const float value : values)  // NaN stays what it is
    halves.push_back(value == value ? f16_bits(static_cast<double>(value)) : uint16_t{0x7e00});
  contents_[tensor] = bytes_of(halves);
  return tensor;
}

uint32_t Case::ranks(const std::string& name, const std::vector<uint32_t>& values) {
  const uint32_t tensor =
      add(name, TensorKind::adapter, DType::i32, {static_cast<uint32_t>(values.size())});
  contents_[tensor] = bytes_of(values);
  return tensor;
}

uint32_t Case::vectors(const std::string& name, std::vector<uint32_t> dims,
                       const std::vector<float>& values) {
  const uint32_t tensor = add(name, TensorKind::adapter, DType::f32, std::move(dims));
  contents_[tensor] = bytes_of(values);
  return tensor;
}

uint32_t Case::cache(const std::string& name, DType dtype, std::vector<uint32_t> dims) {
  return add(name, TensorKind::cache, dtype, std::move(dims));
}

void Case::node(abi::Op op, std::vector<uint32_t> in, std::vector<uint32_t> out,
                const abi::NodeParams& params) {
  graph_.add_node({std::string(abi::op_name(op)), op, std::move(in), std::move(out), params});
}

}  // namespace ropewalk::test
