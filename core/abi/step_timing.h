// step_timing.h — the extension "step-timing": when each launch group of a step ended.
//
// A launch group is a step of CompileRequest::steps: one node, or a fusion. The core asks for the
// extension where a trace is wanted; a device that cannot time its groups says why. Called as the
// device itself is: from one thread at a time.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/abi/backend.h"
#include "core/abi/guard.h"

namespace ropewalk::abi {

inline constexpr std::string_view kStepTiming = "step-timing";

// What extension(kStepTiming) answers; the device owns it.
class StepTiming {
 public:
  // Programs that are compiled from now on time their groups. They run them strictly one after
  // another, so a step takes longer than an untimed one where groups could run side by side, or
  // where a device replays as a whole what it now launches group by group.
  virtual Status enable() noexcept = 0;
  // When each group of the last step ended: microseconds since the first began, ascending, in the
  // order of CompileRequest::steps. REQUIRES: wait() has returned since the step was enqueued;
  // `ends_us` has one entry for each group.
  virtual Status last_step(std::span<double> ends_us) noexcept = 0;

 protected:
  ~StepTiming() = default;
};

// What a group is called in traces and profilers: "model.layers.0.self_attn.q_proj and 5 more".
inline std::string group_name(const Graph& graph, std::span<const uint32_t> nodes) {
  std::string name(graph.nodes[nodes[0]].name);
  if (nodes.size() > 1) name += " and " + std::to_string(nodes.size() - 1) + " more";
  return name;
}

// The extension for a device whose timed programs have `std::vector<double> group_ends_us() const`,
// which may throw. A program that is destroyed is forgotten first.
template <class TimedProgram>
class StepTimer final : public StepTiming {
 public:
  Status enable() noexcept override {
    enabled_ = true;
    return {};
  }
  Status last_step(std::span<double> ends_us) noexcept override {
    return guard([&] {
      if (!last_) throw Failure(StatusCode::invalid_argument, "no step has been timed");
      const std::vector<double> ends = last_->group_ends_us();
      if (ends.size() != ends_us.size())
        throw Failure(StatusCode::invalid_argument, "the step has " + std::to_string(ends.size()) +
                                                        " groups, asked for " +
                                                        std::to_string(ends_us.size()));
      std::ranges::copy(ends, ends_us.begin());
    });
  }

  bool enabled() const { return enabled_; }
  void ran(const TimedProgram& program) { last_ = &program; }
  void forget(const TimedProgram& program) {
    if (last_ == &program) last_ = nullptr;
  }

 private:
  bool enabled_ = false;
  const TimedProgram* last_ = nullptr;
};

}  // namespace ropewalk::abi
