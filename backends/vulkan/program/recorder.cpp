#include "backends/vulkan/program/recorder.h"

#include <algorithm>
#include <string>

#include "core/abi/guard.h"

namespace ropewalk::vulkan {
namespace {

// What a slow device of its kind computes in a second: 1 GFLOP in software, 100 on a GPU.
double budget_of(const Context& context) {
  if (context.options().submit_mflop)
    return 1e6 * static_cast<double>(context.options().submit_mflop);
  return context.features().info.type == abi::DeviceType::software ? 1e9 : 1e11;
}

}  // namespace

Recorder::Recorder(Context& context, Pipelines& pipelines)
    : context_(context), pipelines_(pipelines), budget_(budget_of(context)) {}

void Recorder::begin() {
  open();
  wait_for_earlier();
}

void Recorder::upload(const Block& from, const Block& to) {
  open();
  const VkBufferCopy all{0, 0, to.bytes};
  context_.api().CmdCopyBuffer(buffers_.back(), from.buffer, to.buffer, 1, &all);
  wait_for_earlier();
}

void Recorder::open() {
  const DeviceApi& api = context_.api();
  if (!buffers_.empty()) check(api.EndCommandBuffer(buffers_.back()), "commands");
  auto info =
      structure<VkCommandBufferAllocateInfo>(VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO);
  info.commandPool = context_.commands();
  info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  info.commandBufferCount = 1;
  VkCommandBuffer buffer = VK_NULL_HANDLE;
  check(api.AllocateCommandBuffers(context_.device(), &info, &buffer), "commands");
  buffers_.push_back(buffer);
  auto begin = structure<VkCommandBufferBeginInfo>(VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO);
  check(api.BeginCommandBuffer(buffer, &begin), "commands");
  spent_ = 0;
  bound_ = VK_NULL_HANDLE;
  hazards_.clear();
}

// For what was submitted before, copies of weights among it, and for an upload.
void Recorder::wait_for_earlier() {
  barrier({VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
           VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT},
          kByShaders);
}

// Without copies: on RADV's graphics queue these would also flush the caches of colour and depth,
// and wait for the end of the pipe.
void Recorder::barrier_between_dispatches() {
  barrier({VK_ACCESS_SHADER_WRITE_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT}, kByShaders);
}

void Recorder::download(const Block& from, const VkBufferCopy& region, VkBuffer to) {
  if (buffers_.empty()) begin();
  barrier(
      {VK_ACCESS_SHADER_WRITE_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT},
      {VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT});
  context_.api().CmdCopyBuffer(buffers_.back(), from.buffer, to, 1, &region);
  barrier({VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT},
          {VK_ACCESS_HOST_READ_BIT, VK_PIPELINE_STAGE_HOST_BIT});
}

void Recorder::barrier(const Accesses& before, const Accesses& after) {
  auto barrier = structure<VkMemoryBarrier>(VK_STRUCTURE_TYPE_MEMORY_BARRIER);
  barrier.srcAccessMask = before.what;
  barrier.dstAccessMask = after.what;
  context_.api().CmdPipelineBarrier(buffers_.back(), before.stages, after.stages, 0, 1, &barrier, 0,
                                    nullptr, 0, nullptr);
  ++counts_.barriers;
}

void Recorder::reset(VkQueryPool pool, uint32_t queries) {
  if (buffers_.empty()) begin();
  context_.api().CmdResetQueryPool(buffers_.back(), pool, 0, queries);
}

void Recorder::timestamp(VkQueryPool pool, uint32_t query) {
  hazards_.clear();
  barrier_between_dispatches();
  context_.api().CmdWriteTimestamp(buffers_.back(), VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, pool,
                                   query);
}

void Recorder::record(const Dispatch& what, const void* push, uint32_t push_bytes,
                      std::initializer_list<Range> reads, std::initializer_list<Range> writes) {
  constexpr uint64_t kMaxGroups = 65535;  // the limit that every device has
  if (std::max({what.groups.x, what.groups.y, what.groups.z}) > kMaxGroups)
    throw abi::Failure(abi::StatusCode::unsupported,
                       std::string(what.shader.name) + ": more than 65535 workgroups");
  const VkPipeline pipeline = pipelines_.get(what.shader, what.constants);
  if (buffers_.empty() || (spent_ > 0 && spent_ + what.flop > budget_)) begin();
  if (hazards_.add(reads, writes)) barrier_between_dispatches();
  spent_ += what.flop;
  const DeviceApi& api = context_.api();
  if (bound_ != pipeline)
    api.CmdBindPipeline(buffers_.back(), VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
  bound_ = pipeline;
  api.CmdPushConstants(buffers_.back(), pipelines_.layout(), VK_SHADER_STAGE_COMPUTE_BIT, 0,
                       push_bytes, push);
  api.CmdDispatch(buffers_.back(), static_cast<uint32_t>(what.groups.x),
                  static_cast<uint32_t>(what.groups.y), static_cast<uint32_t>(what.groups.z));
  ++counts_.dispatches;
}

std::vector<VkCommandBuffer> Recorder::finish() {
  if (!buffers_.empty()) check(context_.api().EndCommandBuffer(buffers_.back()), "commands");
  return std::move(buffers_);
}

}  // namespace ropewalk::vulkan
