// case.h — a small graph with its contents, and the numbers of a step, without a device.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/abi/backend.h"
#include "core/graph/graph.h"
#include "tests/ops/harness/stored_weight.h"

namespace ropewalk::test {

// The numbers of a step; owns what an abi::Step points to.
struct StepData {
  std::vector<int32_t> token;
  std::vector<uint32_t> position, sequence, length, page, wanted;
  std::vector<float> inv_freq;
  std::vector<uint32_t> adapter;  // (S), or empty

  uint32_t prompt_rows() const;
  abi::Step view() const;
};

// `rows` rows at positions 0, 1, ... of one sequence, all of them wanted.
StepData plain_step(uint32_t rows);

class Case {
 public:
  // Each returns the tensor's index. Activations have the device's activation type.
  uint32_t activation(const std::string& name, std::vector<uint32_t> dims);
  uint32_t logits(const std::string& name, std::vector<uint32_t> dims);  // f32 on every device
  uint32_t vector(const std::string& name, const std::vector<float>& values);
  uint32_t order(const std::string& name, const std::vector<uint32_t>& values);
  uint32_t weight(const std::string& name, const StoredWeight& weight);
  // Matrices of adapters (slots, rows, cols), rounded to f16, and their ranks (slots).
  uint32_t matrices(const std::string& name, std::vector<uint32_t> dims,
                    const std::vector<float>& values);
  uint32_t ranks(const std::string& name, const std::vector<uint32_t>& values);
  // Their gains and shifts (slots, 2, columns).
  uint32_t vectors(const std::string& name, std::vector<uint32_t> dims,
                   const std::vector<float>& values);
  uint32_t cache(const std::string& name, abi::DType dtype, std::vector<uint32_t> dims);

  void node(abi::Op op, std::vector<uint32_t> in, std::vector<uint32_t> out,
            const abi::NodeParams& params);
  // Elements in a row of an activation, and its rows in a step.
  uint64_t width(uint32_t tensor) const;
  uint32_t rows(uint32_t tensor, const StepData& step) const;

 private:
  friend class Session;
  uint32_t add(const std::string& name, abi::TensorKind kind, abi::DType dtype,
               std::vector<uint32_t> dims);

  Graph graph_;
  std::map<TensorId, std::vector<std::byte>> contents_;  // of constants
  std::map<TensorId, StoredWeight> stored_;              // of weights
};

}  // namespace ropewalk::test
