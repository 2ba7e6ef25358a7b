#include "backends/vulkan/program.h"

#include <algorithm>
#include <string>

#include "backends/vulkan/fusions.h"
#include "core/abi/guard.h"

namespace ropewalk::vulkan {

using abi::Op;

uint64_t workspace_bytes(const abi::CompileRequest& request, const Features& features) {
  uint64_t bytes = 0;
  for (const abi::Node& node : request.graph->nodes) {
    if (node.op == Op::matmul)
      bytes = std::max(bytes, matmul_workspace(*request.graph, node, request.shape, features));
    if (node.op == Op::attention)
      bytes = std::max(bytes, attention_workspace(*request.graph, node, request.shape, features));
  }
  return bytes;
}

Program::Program(const abi::CompileRequest& request, const Host& host)
    : host_(host), step_(host.memory, request.shape, half_dim_of(*request.graph)) {
  const abi::Graph& graph = *request.graph;
  const uint64_t bytes = workspace_bytes(request, host.context.features());
  if (request.workspace.bytes < bytes)
    throw abi::Failure(abi::StatusCode::invalid_argument, "the workspace is too small");
  const VkDeviceAddress workspace = bytes ? host.memory.address(request.workspace) : 0;
  const Surroundings around{graph,        request.shape,   host.memory,
                            host.weights, step_.address(), {workspace, workspace + bytes}};
  Recorder recorder(host.context, host.pipelines);
  for (const abi::Claim& step : request.steps) record_step(around, step.nodes, recorder);
  commands_ = recorder.finish();
}

Program::~Program() {
  if (!host_.context.alive()) return;
  if (abi::guard([&] { host_.context.wait_for(last_submission_); }).ok()) {
    if (!commands_.empty())
      host_.context.api().FreeCommandBuffers(host_.context.device(), host_.context.commands(),
                                             static_cast<uint32_t>(commands_.size()),
                                             commands_.data());
  }
}

abi::Status Program::enqueue(const abi::Step& step) noexcept {
  return abi::guard([&] {
    host_.context.require_alive();
    host_.context.wait_for(last_submission_);  // it may still read the inputs
    step_.write(step);
    host_.context.begin_step();
    for (const VkCommandBuffer buffer : commands_) last_submission_ = host_.context.submit(buffer);
    host_.context.instance().require_valid();
  });
}

}  // namespace ropewalk::vulkan
