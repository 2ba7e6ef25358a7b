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

// What a program borrows of its device.
struct DeviceParts {
  Context& context;
  Memory& memory;
  const PackedWeights& weights;
  SharedResources& shared;
  const Options& options;
};

// What CompileRequest::workspace needs. Also allocates what a program of this request shares with
// others. Throws Failure.
uint64_t workspace_bytes(const abi::CompileRequest& request, const DeviceParts& parts);

class Program final : public abi::Program {
 public:
  // Throws Failure where a node is not one that claim_all() claims, a slice is outside its buffer
  // or a weight was not packed.
  Program(const abi::CompileRequest& request, const DeviceParts& parts);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  abi::Status enqueue(const abi::Step& step) noexcept override;
  void release() noexcept override { delete this; }

 private:
  // Launches every step, then checks for errors.
  void launch_and_check();
  // Launches every step into the context's stream, which may be recording.
  void launch_into_stream();
  void record();
  void destroy();

  const DeviceParts parts_;
  const WorkspaceNeeds needs_;
  const WorkspacePointers workspace_;
  const LargeBatchPointers large_batch_;
  StepBlock step_;
  std::vector<LaunchStep> launches_;
  cudaGraphExec_t recorded_ = nullptr;
};

}  // namespace ropewalk::cuda
