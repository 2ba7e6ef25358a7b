// program.h — a graph bound to addresses, run node by node.
//
// Compiled once for a row bucket. The program borrows its device's memory, pool and kernels, so it
// must be released first. enqueue() has run the step when it returns.
#pragma once

#include <functional>
#include <vector>

#include "backends/cpu/memory.h"
#include "backends/cpu/ops/ops.h"
#include "core/abi/backend.h"
#include "core/abi/step_timing.h"

namespace ropewalk::cpu {

class Program;

// The parts of its device that a program borrows.
struct DeviceParts {
  const Memory& memory;
  Pool& pool;
  const Kernels& kernels;
  abi::StepTimer<Program>& timer;
};

// Bytes that CompileRequest::workspace needs.
uint64_t workspace_bytes(const abi::CompileRequest& request, const DeviceParts& parts);

class Program final : public abi::Program {
 public:
  // Throws Failure (invalid_argument) where a slice is outside its buffer or a weight was not
  // packed.
  Program(const abi::CompileRequest& request, const DeviceParts& parts);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  abi::Status enqueue(const abi::Step& step) noexcept override;
  void release() noexcept override { delete this; }
  std::vector<double> group_ends_us() const { return ends_us_; }

 private:
  void run_timed(const Frame& frame);

  const DeviceParts parts_;
  const abi::ProgramShape shape_;
  const uint32_t page_tokens_;
  const abi::RopeSizes rope_;
  std::vector<std::function<void(const Frame&)>> stages_;
  std::vector<size_t> group_ends_;  // for each launch group, the stage after its last
  std::vector<double> ends_us_;     // of the last step's groups; empty: not timed
  float* workspace_;
  float* rotations_;  // rotation_tables(); unused if keys are rotated before the cache
  std::vector<RowBlock> blocks_;
};

}  // namespace ropewalk::cpu
