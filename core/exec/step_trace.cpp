#include "core/exec/step_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/graph/work.h"
#include "core/json/json.h"
#include "core/modules/library.h"

namespace ropewalk {
namespace {

constexpr int kStepTrack = 1, kGroupTrack = 2;

std::string describe(const Ceiling& ceiling) {
  if (!ceiling.read_gbs || !ceiling.tflops) return "";
  return fmt::format(" (measured: read {:.1f} GB/s, matrix products {:.3f} TFLOP/s)",
                     *ceiling.read_gbs, *ceiling.tflops);
}

StepSize size_of(const abi::Step& step) {
  StepSize size{.rows = double{1} * step.rows, .wanted = static_cast<double>(step.wanted.size())};
  for (const uint32_t position : step.position) size.pairs += position + 1;
  for (const uint32_t length : step.length) size.keys += length;
  return size;
}

}  // namespace

StepTrace::StepTrace(abi::Device& device, const LoadedModel& model, const Ceiling& ceiling,
                     TraceFile& file)
    : model_(model), ceiling_(ceiling), file_(file) {
  void* interface = nullptr;
  check(device.extension(abi::kStepTiming, &interface), "--trace");
  timing_ = static_cast<abi::StepTiming*>(interface);
  check(timing_->enable(), "--trace");
  file_.name_track(kStepTrack, "steps");
  file_.name_track(kGroupTrack, device.info().name + describe(ceiling));
  file_.flush();
}

int64_t StepTrace::now_ns() const {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start_).count();
}

// The ceiling of a group is whichever takes longer at the measured rates: its bytes or its
// arithmetic.
std::string StepTrace::work_json(double bytes, double flop, int64_t ns) const {
  std::string json = fmt::format(R"("bytes":{:.0f},"flop":{:.0f})", bytes, flop);
  if (ns <= 0) return json;
  json += fmt::format(R"(,"gbs":{:.3f})", bytes / static_cast<double>(ns));
  if (!ceiling_.read_gbs || !ceiling_.tflops) return json;
  const double ideal_ns = std::max(bytes / *ceiling_.read_gbs, flop / *ceiling_.tflops / 1e3);
  return json + fmt::format(R"(,"of_ceiling":{:.4f})", ideal_ns / static_cast<double>(ns));
}

void StepTrace::begin_step() { step_begin_ns_ = now_ns(); }

void StepTrace::end_step(const abi::Step& step) {
  const int64_t step_end_ns = now_ns();
  const PlacedGraph& placed = model_.of(step.adapter.empty() ? StepKind::plain : StepKind::adapted);
  ends_us_.resize(placed.steps.size());
  check(timing_->last_step(ends_us_), "--trace");
  const Graph& graph = placed.model.graph;
  const StepSize size = size_of(step);
  double all_bytes = 0, all_flop = 0;
  int64_t begin = step_begin_ns_;
  for (size_t i = 0; i < ends_us_.size(); ++i) {
    const OwnedClaim& group = placed.steps[i];
    const double bytes = bytes_of_group(graph, group, size);
    const double flop = flop_of_group(graph, group, size);
    all_bytes += bytes;
    all_flop += flop;
    const int64_t end = step_begin_ns_ + std::llround(ends_us_[i] * 1e3);
    file_.add({kGroupTrack, abi::group_name(placed.view->get(), group.nodes),
               abi::op_name(graph.nodes[group.nodes[0]].op), begin, end,
               "{" + work_json(bytes, flop, end - begin) + "}"});
    begin = end;
  }
  const int64_t step_ns = step_end_ns - step_begin_ns_;
  file_.add(
      {kStepTrack, fmt::format("step {}", steps_++), "step", step_begin_ns_, step_end_ns,
       fmt::format(R"({{"rows":{},"prompt_rows":{},"sequences":{},"wanted":{},"keys":{:.0f},)",
                   step.rows, step.prompt_rows, step.sequences, step.wanted.size(), size.keys) +
           work_json(all_bytes, all_flop, step_ns) + "}"});
  file_.flush();
}

}  // namespace ropewalk
