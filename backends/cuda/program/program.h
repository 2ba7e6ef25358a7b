// program.h — a graph's launches for one row bucket: recorded once as a CUDA graph and replayed for
// every step, or launched one by one.
//
// Borrows its device, so it must be released first.
#pragma once

#include <memory>
#include <vector>

#include "backends/cuda/device/options.h"
#include "backends/cuda/program/lower.h"
#include "backends/cuda/program/shared_resources.h"
#include "backends/cuda/program/step_block.h"

namespace ropewalk::cuda {

// What a program needs of its device.
struct Host {
  Context& context;
  Memory& memory;
  const PackedWeights& weights;
  Common& common;
  const Options& options;
};

// Of CompileRequest::workspace. What a program of this request shares with others is there from now
// on. Throws Failure.
uint64_t workspace_bytes(const abi::CompileRequest& request, const Host& host);

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
  const Workspace needs_;
  const WorkspacePlaces places_;
  const LongPlaces long_places_;
  StepBlock step_;
  std::vector<LaunchStep> launches_;
  cudaGraphExec_t recorded_ = nullptr;
};

}  // namespace ropewalk::cuda
