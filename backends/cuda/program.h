// program.h — a graph's launches for one row bucket: recorded once as a CUDA graph and replayed for
// every step, or launched one by one.
//
// Borrows its device, so it must be released first.
#pragma once

#include <memory>
#include <vector>

#include "backends/cuda/lower.h"
#include "backends/cuda/step_block.h"

namespace ropewalk::cuda {

// What a program needs of its device.
struct Host {
  Context& context;
  Memory& memory;
  const PackedWeights& weights;
  std::unique_ptr<Cublas>& cublas;  // all programs share one, made for the first that needs it
};

// Of CompileRequest::workspace.
uint64_t workspace_bytes(const abi::CompileRequest& request, const Context& context);

class Program final : public abi::Program {
 public:
  // Throws Failure where a node is not one that claim_all() claims, a slice is outside its buffer
  // or a weight was not packed.
  Program(const abi::CompileRequest& request, const Host& host);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  abi::Status enqueue(const abi::Step& step) noexcept override;
  void release() noexcept override { delete this; }

 private:
  void launch_all();
  void give_all();
  void record();
  void destroy();

  const Host host_;
  StepBlock step_;
  std::byte* arrivals_ = nullptr;
  std::unique_ptr<Slices> slices_;  // where products of many rows go to cuBLAS
  std::vector<LaunchStep> launches_;
  cudaGraphExec_t recorded_ = nullptr;
};

}  // namespace ropewalk::cuda
