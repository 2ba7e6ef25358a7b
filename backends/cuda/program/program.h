// program.h — a graph's launches for one row bucket: recorded once as a CUDA graph and replayed for
// every step, or launched one by one.
//
// Borrows its device, so it must be released first.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "backends/cuda/device/event.h"
#include "backends/cuda/device/options.h"
#include "backends/cuda/program/lower.h"
#include "backends/cuda/program/shared_resources.h"
#include "backends/cuda/program/step_block.h"
#include "core/abi/step_timing.h"

namespace ropewalk::cuda {

class Program;

// The parts of its device that a program borrows.
struct DeviceParts {
  Context& context;
  Memory& memory;
  const PackedWeights& weights;
  SharedResources& shared;
  const Options& options;
  abi::StepTimer<Program>& timer;
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
  // Throws Failure. REQUIRES: it was compiled while the timer was on.
  std::vector<double> group_ends_us() const;

 private:
  // Launches every step, then checks for errors.
  void launch_and_check();
  // Call before the launches that follow, where they use slices of weights.
  void begin_slices();
  // Launches every step into the context's stream, which may be recording.
  void launch_into_stream();
  void launch_maxima();
  void launch_timed();
  void record();
  void destroy();

  const DeviceParts parts_;
  const WorkspaceNeeds needs_;
  const WorkspacePointers workspace_;
  const LargeBatchPointers large_batch_;
  StepBlock step_;
  std::vector<LaunchStep> launches_;
  std::unique_ptr<LogitMaxima> maxima_;  // behind the launches; null: as SharedResources::maxima
  cudaGraphExec_t recorded_ = nullptr;
  std::deque<Event> events_;  // where the first group began and where each ended; empty: not timed
};

}  // namespace ropewalk::cuda
