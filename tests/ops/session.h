// session.h — a few ops on a device, run step by step between sentinels.
//
// A Case describes a small graph and its contents without a device. A Session places it: each
// tensor in a slice of its own with 256 guard bytes around, everything that nobody has written
// being 0xff (NaN in every float type), so that a read of what was never written shows in the
// result. run() then proves that a step changed nothing but the first rows of its outputs and the
// cache entries it may.
#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/abi/backend.h"
#include "tests/ops/stored_weight.h"

namespace ropewalk::test {

// The device does not claim a node, or lacks a type; says why.
struct Unsupported : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The numbers of a step; owns what an abi::Step points to.
struct StepData {
  std::vector<int32_t> token;
  std::vector<uint32_t> position, sequence, length, page, wanted;
  std::vector<float> inv_freq;

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
  uint32_t cache(const std::string& name, abi::DType dtype, std::vector<uint32_t> dims);

  void node(abi::Op op, std::vector<uint32_t> in, std::vector<uint32_t> out,
            const abi::NodeParams& params);
  // Elements in a row of an activation.
  uint64_t width(uint32_t tensor) const;

 private:
  friend class Session;
  struct TensorData {
    std::string name;
    abi::Tensor tensor;
    std::vector<std::byte> contents;  // of constants
    StoredWeight stored;              // of weights
  };
  struct NodeData {
    abi::Op op;
    std::vector<uint32_t> in, out;
    abi::NodeParams params;
  };
  uint32_t add(const std::string& name, abi::TensorKind kind, abi::DType dtype,
               std::vector<uint32_t> dims);

  std::vector<TensorData> tensors_;
  std::vector<NodeData> nodes_;
};

// Which of the device's claims a session takes: every node alone, or the fusions it offers,
// greatest gain first as core/graph/claims.cpp does. Fused, a value that the step hides has no
// place at all, and only what no node reads is an output.
enum class Steps { alone, fused };

class Session {
 public:
  // Throws Unsupported where the device refuses a node, runtime_error where a call fails or a claim
  // is not legal.
  Session(const Case& description, abi::Device& device, const abi::ProgramShape& shape,
          Steps steps);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Values of an activation for the coming step; later rows stay NaN.
  void set(uint32_t tensor, std::span<const float> values);
  // Throws runtime_error where the step fails or changes what it must not.
  void run(const StepData& step);
  // Runs it without looking at what changed.
  void repeat(const StepData& step);
  // The rows of an activation that the last step wrote.
  std::vector<float> get(uint32_t tensor);

  abi::DType activation_type() const { return device_.info().activation; }
  uint64_t workspace_bytes() const { return workspace_.bytes; }
  // How many nodes each step has, in order.
  std::vector<size_t> step_sizes() const;

 private:
  struct Area {  // an arena: guard, slice, guard, slice, ..., guard
    abi::Arena arena;
    abi::Buffer buffer;
    uint64_t bytes;
    std::vector<std::byte> before;  // contents as last known
  };

  struct OwnedStep {
    std::vector<uint32_t> nodes, hidden;
    float gain_us;
  };

  void place();
  void fill();
  void compile();
  void choose_steps();
  bool is_read(uint32_t tensor) const;
  bool is_hidden(uint32_t tensor) const;
  bool is_output(uint32_t tensor) const;
  Area& area_of(const abi::Tensor& tensor);
  std::vector<std::byte> read_area(const Area& area);
  uint64_t written_rows(const abi::Tensor& tensor) const;
  void check_area(Area& area);
  void check_cache(const abi::Tensor& tensor, const Area& area, std::span<const std::byte> now,
                   std::vector<bool>& may_change) const;

  abi::Device& device_;
  abi::ProgramShape shape_;
  const Steps wanted_steps_;
  std::vector<Case::TensorData> tensors_;
  std::vector<Case::NodeData> node_data_;
  std::vector<abi::Tensor> abi_tensors_;
  std::vector<abi::Node> nodes_;
  std::vector<uint32_t> outputs_;
  abi::Graph graph_;
  std::vector<OwnedStep> chosen_;
  std::vector<Area> areas_;
  abi::Program* program_ = nullptr;
  abi::Slice workspace_;
  StepData step_;
};

// Throws runtime_error with the status's message where it is not ok.
void check(const abi::Status& status, const std::string& what);

}  // namespace ropewalk::test
