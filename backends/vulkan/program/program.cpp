#include "backends/vulkan/program/program.h"

#include <algorithm>
#include <string>

#include "core/abi/guard.h"

namespace ropewalk::vulkan {

using abi::Op;

namespace {

// Bytes of the workspace that products need, and attention and low_rank behind them: a product
// reads what the attention before it has prepared.
struct Workspace {
  Workspace(const abi::CompileRequest& request, const Features& features) {
    for (const abi::Node& node : request.graph->nodes) {
      if (node.op == Op::matmul)
        products =
            std::max(products, matmul_workspace(*request.graph, node, request.shape, features));
      if (node.op == Op::attention)
        partials =
            std::max(partials, attention_workspace(*request.graph, node, request.shape, features));
      if (node.op == Op::low_rank)
        partials = std::max(partials, low_rank_workspace(*request.graph, node, request.shape));
    }
    products = abi::align_up(products, 256);
  }

  uint64_t products = 0, partials = 0;
};

}  // namespace

uint64_t workspace_bytes(const abi::CompileRequest& request, const Features& features) {
  const Workspace parts(request, features);
  return parts.products + parts.partials;
}

Program::Program(const abi::CompileRequest& request, const DeviceParts& parts)
    : parts_(parts),
      step_(parts.memory, request.shape, rope_sizes_of(*request.graph), parts.context.features()) {
  const abi::Graph& graph = *request.graph;
  const Workspace parts_of(request, parts.context.features());
  const uint64_t bytes = parts_of.products + parts_of.partials;
  if (request.workspace.bytes < bytes)
    throw abi::Failure(abi::StatusCode::invalid_argument, "the workspace is too small");
  const VkDeviceAddress workspace = bytes ? parts.memory.address(request.workspace) : 0;
  const CompileContext context{.graph = graph,
                               .shape = request.shape,
                               .memory = parts.memory,
                               .weights = parts.weights,
                               .step = step_.address(),
                               .workspace = {workspace, workspace + parts_of.products},
                               .partials = {workspace + parts_of.products, workspace + bytes}};
  Recorder recorder(parts.context, parts.pipelines);
  step_.record(recorder);
  if (parts.timer.enabled()) {
    timestamps_.emplace(parts.context, request.steps.size());
    recorder.reset(timestamps_->pool(), timestamps_->count());
    recorder.timestamp(timestamps_->pool(), 0);
  }
  uint32_t group = 0;
  for (const abi::Claim& step : request.steps) {
    record_step(context, step.nodes, recorder);
    if (timestamps_) recorder.timestamp(timestamps_->pool(), ++group);
  }
  record_result(request, recorder);
  commands_ = recorder.finish();
  counts_ = recorder.counts();
}

// The host reads the logits of every step: copied by its own commands they need no submission and no
// wait more. What does not fit into staging is read as anything else is.
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
  if (abi::guard([&] { parts_.context.wait_for(last_submission_); }).ok()) {
    if (!commands_.empty())
      parts_.context.api().FreeCommandBuffers(parts_.context.device(), parts_.context.commands(),
                                              static_cast<uint32_t>(commands_.size()),
                                              commands_.data());
  }
}

abi::Status Program::enqueue(const abi::Step& step) noexcept {
  return abi::guard([&] {
    parts_.context.require_alive();
    parts_.context.wait_for(last_submission_);  // it may still read the inputs
    step_.write(step);
    parts_.context.begin_step();
    if (!commands_.empty()) last_submission_ = parts_.context.submit(commands_);
    parts_.memory.expect_in_staging(result_, last_submission_);
    parts_.context.instance().require_valid();
    if (timestamps_) parts_.timer.ran(*this);
    parts_.last_counts = counts_;
  });
}

}  // namespace ropewalk::vulkan
