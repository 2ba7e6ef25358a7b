// step_trace.h — where the time of every step goes: its launch groups on a trace's tracks.
//
// One track has the steps as the host sees them, from enqueue() until wait() has returned; the
// other has the launch groups as the device timed them. Each event says which bytes and how much
// arithmetic it stands for (core/graph/work.h), and how near that is to what the device can do. The
// device's clock is not the host's: the first group of a step is drawn where the host's step
// begins. Not thread-safe.
#pragma once

#include <chrono>
#include <vector>

#include "core/abi/step_timing.h"
#include "core/exec/ceiling.h"
#include "core/exec/trace_file.h"
#include "core/load/loaded_model.h"

namespace ropewalk {

class StepTrace {
 public:
  // Has the device time its programs. Throws Error: no_device where it cannot. REQUIRES: all but
  // the ceiling outlive this; no program has been compiled yet.
  StepTrace(abi::Device& device, const LoadedModel& model, const Ceiling& ceiling, TraceFile& file);

  // Right before Program::enqueue().
  void begin_step();
  // Right after Device::wait(): adds the step to the file. Throws Error: output, plugin.
  void end_step(const abi::Step& step);

 private:
  using Clock = std::chrono::steady_clock;

  int64_t now_ns() const;
  std::string work_json(double bytes, double flop, int64_t ns) const;

  const LoadedModel& model_;
  const Ceiling ceiling_;
  TraceFile& file_;
  abi::StepTiming* timing_ = nullptr;
  std::vector<double> ends_us_;  // of the groups
  const Clock::time_point start_ = Clock::now();
  int64_t step_begin_ns_ = 0;
  uint64_t steps_ = 0;
};

}  // namespace ropewalk
