// chain.h — a graph of equal steps of a model. Each step has weights or a cache of its own, so that
// none finds its data in the second-level cache. The graph is compiled for each number of rows and
// each choice of kernels; its data stay on the device.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bench/cuda/machine.h"

namespace ropewalk::cuda::bench {

// The rows of a step, the same number for each sequence; the last row of each sees `context` keys.
struct StepSize {
  uint32_t rows, sequences, context;
};

// The min bytes that a step moves, and its arithmetic.
struct Work {
  double bytes, flop;
};

// An element of the output and what it should be.
struct Sample {
  uint32_t row, column;
  double truth;
};

class Chain {
 public:
  explicit Chain(Machine& machine) : machine_(machine) {}
  ~Chain();
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;

  // Building. Tensors by index; the first dimension of an activation is the step's rows.
  uint32_t activation(uint32_t max_rows, std::vector<uint32_t> width);
  // The same for the rows whose logits are wanted: the last of each sequence.
  uint32_t wanted(uint32_t max_rows, uint32_t width);
  // Another tensor in the memory of an activation, for the same of a later step: a program keeps
  // track of what is where by tensors, each of which one node writes.
  uint32_t again(uint32_t tensor);
  uint32_t vector(uint32_t size);
  uint32_t order(uint32_t size);
  uint32_t cache(abi::DType dtype, uint32_t pages, uint32_t heads, uint32_t head_dim);
  uint32_t weight(const abi::Weight& weight);
  void node(abi::Op op, std::vector<uint32_t> in, std::vector<uint32_t> out,
            const abi::NodeParams& params);
  // The nodes since the last launch are one launch, which never writes the `hidden` tensors.
  void end_launch(std::vector<uint32_t> hidden);
  // The same, and a step ends.
  void end_step(std::vector<uint32_t> hidden);
  // The program computes these logits: it also finds the largest of each row.
  void ends_with(uint32_t logits) { outputs_.push_back(logits); }
  // Allocates all tensors on the device. Then their contents can be set.
  void place();
  void set(uint32_t tensor, std::span<const float> values);
  void set_order(uint32_t tensor, std::span<const uint32_t> order);
  double pack(uint32_t tensor, const abi::Weight& weight);  // bytes that a step reads
  void fill(uint32_t tensor, uint32_t seed);

  std::vector<float> get(uint32_t tensor, uint64_t count) const;
  std::vector<std::byte> get_bytes(uint32_t tensor, uint64_t offset, uint64_t bytes) const;
  uint32_t steps() const { return steps_; }
  // Of a row of a step; below 64.
  static int32_t token_of(uint32_t row) { return static_cast<int32_t>(row * 37 % 64); }

  // Seconds of a step: the median of `repeats` runs of the whole chain after two warm-ups, or the
  // first run where `repeats` is 0. Throws runtime_error where `output` is not near the samples
  // after the first run, or the device finds another token than the largest of the logits.
  double time(const StepSize& size, const Options& options, uint32_t output,
              std::span<const Sample> samples, int repeats);

 private:
  uint32_t add(abi::TensorKind kind, abi::DType dtype, std::vector<uint32_t> dims, uint64_t bytes);
  abi::Graph graph() const { return {nodes_, tensors_, outputs_}; }

  Machine& machine_;
  std::deque<std::string> names_;
  std::deque<std::vector<uint32_t>> lists_;  // of nodes and claims
  std::vector<abi::Tensor> tensors_;
  std::map<uint32_t, uint32_t> same_;  // memory: that of an earlier tensor
  std::vector<abi::Node> nodes_;
  std::vector<abi::Claim> claims_;
  std::vector<uint32_t> outputs_;
  uint32_t claimed_ = 0;  // nodes
  uint32_t steps_ = 0;
  abi::Buffer buffer_{};
};

}  // namespace ropewalk::cuda::bench
