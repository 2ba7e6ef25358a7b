// program.h — a graph recorded for one row bucket: command buffers that every step replays.
//
// A step's inputs are written into the program's StepBlock. What is recorded stays; only how it is
// divided among submissions may change when a step has shown how long it takes (pace.h). Borrows
// its device, so it must be released first.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "backends/vulkan/device/timestamps.h"
#include "backends/vulkan/ops/ops.h"
#include "backends/vulkan/program/pace.h"
#include "backends/vulkan/program/recording.h"
#include "backends/vulkan/program/step_block.h"
#include "core/abi/step_timing.h"

namespace ropewalk::vulkan {

class Program;

// The parts of its device that a program borrows.
struct DeviceParts {
  Context& context;
  Memory& memory;
  Pipelines& pipelines;
  const PackedWeights& weights;
  Counters& counters;
  abi::StepTimer<Program>& timer;
  abi::StepCounts& last_counts;  // of the step that was enqueued last
};

// Bytes that CompileRequest::workspace needs.
uint64_t workspace_bytes(const abi::CompileRequest& request, const Features& features);

class Program final : public abi::Program {
 public:
  // Throws Failure where a step is not one that was claimed, a slice is outside its buffer or a
  // weight was not packed.
  Program(const abi::CompileRequest& request, const DeviceParts& parts);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  abi::Status enqueue(const abi::Step& step) noexcept override;
  void release() noexcept override { delete this; }
  // Throws Failure. REQUIRES: it was compiled while the timer was on.
  std::vector<double> group_ends_us() const { return timestamps_->ends_us(); }

 private:
  void record_result(const abi::CompileRequest& request, Recorder& recorder);
  void keep_pace();

  const DeviceParts parts_;
  Pace pace_;
  StepBlock step_;
  std::optional<Timestamps> timestamps_;
  Recording recording_;
  CommandBuffers commands_;
  abi::Slice result_;  // the part of the graph's first output that the commands copy into staging
  uint64_t last_submission_ = 0;
  std::shared_ptr<const Lap> lap_;  // of the last step
};

}  // namespace ropewalk::vulkan
