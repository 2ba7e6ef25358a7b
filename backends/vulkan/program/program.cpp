#include "backends/vulkan/program/program.h"

#include <algorithm>
#include <string>

#include "core/abi/guard.h"

namespace ropewalk::vulkan {

using abi::align_up;
using abi::Op;

namespace {

// Pieces of the workspace. What a product reads instead of x may be made by the step before it, so
// it lies beside what that step uses.
struct Workspace {
  Workspace(const abi::CompileRequest& request, const Features& features) {
    const abi::Graph& graph = *request.graph;
    for (const abi::Node& node : graph.nodes) {
      if (node.op == Op::matmul) {
        const MatmulWorkspace needed = matmul_workspace(graph, node, request.shape, features);
        x = std::max(x, needed.x);
        gated_x = std::max(gated_x, needed.gated_x);
        sums = std::max(sums, needed.sums);
      }
      if (node.op == Op::attention)
        partials = std::max(partials, attention_workspace(graph, node, request.shape, features));
      if (node.op == Op::low_rank)
        partials = std::max(partials, low_rank_workspace(graph, node, request.shape));
    }
    for (const abi::Claim& step : request.steps)
      between = std::max(between, between_workspace(graph, step, request.shape));
  }
  uint64_t bytes() const {
    return align_up(x, kAlignment) + align_up(gated_x, kAlignment) + align_up(between, kAlignment) +
           align_up(sums, kAlignment) + partials;
  }
  // The pieces from an address on.
  void place(VkDeviceAddress begin, CompileContext& context) const {
    const auto next = [&](uint64_t size) {
      const Range piece{begin, begin + size};
      begin += align_up(size, kAlignment);
      return piece;
    };
    context.workspace = next(x);
    context.gated_x = next(gated_x);
    context.between = next(between);
    context.sums = next(sums);
    context.partials = next(partials);
  }

  static constexpr uint64_t kAlignment = 256;
  uint64_t x = 0, gated_x = 0, between = 0, sums = 0, partials = 0;
};

}  // namespace

namespace {

// What a slow device of its kind computes in a second: 1 GFLOP in software, 100 on a GPU. An option
// that sets it stays.
Pace pace_of(const Context& context) {
  if (const uint64_t mflop = context.options().submit_mflop)
    return {1e6 * static_cast<double>(mflop), Pace::Kind::fixed};
  const bool software = context.features().info.type == abi::DeviceType::software;
  return {software ? 1e9 : 1e11, Pace::Kind::measured};
}

}  // namespace

uint64_t workspace_bytes(const abi::CompileRequest& request, const Features& features) {
  return Workspace(request, features).bytes();
}

Program::Program(const abi::CompileRequest& request, const DeviceParts& parts)
    : parts_(parts),
      pace_(pace_of(parts.context)),
      step_(parts.memory, request.shape, rope_sizes_of(*request.graph), parts.context.features()) {
  const abi::Graph& graph = *request.graph;
  const Workspace pieces(request, parts.context.features());
  const uint64_t bytes = pieces.bytes();
  if (request.workspace.bytes < bytes)
    throw abi::Failure(abi::StatusCode::invalid_argument, "the workspace is too small");
  CompileContext context{.graph = graph,
                         .shape = request.shape,
                         .memory = parts.memory,
                         .weights = parts.weights,
                         .counters = parts.counters,
                         .step = step_.address(),
                         .workspace = {},
                         .gated_x = {},
                         .between = {},
                         .sums = {},
                         .partials = {},
                         .prefetch_bytes = parts.context.options().prefetch_mib << 20};
  pieces.place(bytes ? parts.memory.address(request.workspace) : 0, context);
  Recorder recorder(parts.context, parts.pipelines, pace_.budget());
  step_.record(recorder);
  if (parts.timer.enabled()) {
    timestamps_.emplace(parts.context, request.steps.size());
    recorder.reset(timestamps_->pool(), timestamps_->count());
    recorder.timestamp(timestamps_->pool(), 0);
  }
  uint32_t group = 0;
  for (size_t i = 0; i < request.steps.size(); ++i) {
    record_step(context, request.steps[i], recorder);
    if (i + 1 < request.steps.size())
      prefetch_between(context, request.steps[i].nodes, request.steps[i + 1].nodes, recorder);
    if (timestamps_) recorder.timestamp(timestamps_->pool(), ++group);
  }
  record_result(request, recorder);
  recording_ = recorder.finish();
  commands_ = encode(recording_, parts.context, parts.pipelines, pace_.budget());
}

// The host reads the logits of every step: copied by its own commands they need no submission and
// no wait more. What does not fit into staging is read as anything else is.
void Program::record_result(const abi::CompileRequest& request, Recorder& recorder) {
  const abi::Graph& graph = *request.graph;
  if (graph.outputs.empty()) return;
  const abi::Tensor& output = graph.tensors[graph.outputs[0]];
  abi::Slice result = output.at;
  result.bytes = std::min(result.bytes, max_rows(request.shape, extent_of(output)) *
                                            row_width(output) * element_bytes(output.dtype));
  if (result.bytes == 0 || result.bytes > Memory::kStagingBytes) return;
  recorder.download(parts_.memory.block(result), {result.offset, 0, result.bytes},
                    parts_.memory.staging());
  result_ = result;
}

Program::~Program() {
  parts_.timer.forget(*this);
  if (!parts_.context.alive()) return;
  if (abi::guard([&] { parts_.context.wait_for(last_submission_); }).ok())
    free(commands_, parts_.context);
}

// As long as the last step took. A timed program stays as it is, to be compared with itself.
void Program::keep_pace() {
  if (!lap_ || timestamps_ || !pace_.ran(recording_.flop(), lap_->seconds)) return;
  free(commands_, parts_.context);
  commands_ = encode(recording_, parts_.context, parts_.pipelines, pace_.budget());
}

abi::Status Program::enqueue(const abi::Step& step) noexcept {
  return abi::guard([&] {
    parts_.context.require_alive();
    parts_.context.wait_for(last_submission_);  // it may still read the inputs
    keep_pace();
    step_.write(step);
    parts_.context.begin_step();
    if (!commands_.buffers.empty()) {
      last_submission_ = parts_.context.submit(commands_.buffers);
      lap_ = parts_.context.lap();
    }
    parts_.memory.expect_in_staging(result_, last_submission_);
    parts_.context.instance().require_valid();
    if (timestamps_) parts_.timer.ran(*this);
    parts_.last_counts = commands_.counts;
  });
}

}  // namespace ropewalk::vulkan
