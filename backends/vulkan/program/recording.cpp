#include "backends/vulkan/program/recording.h"

#include <utility>

namespace ropewalk::vulkan {
namespace {

struct Accesses {
  VkAccessFlags what;
  VkPipelineStageFlags stages;
};
constexpr Accesses kByShaders = {VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT,
                                 VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT};

class Encoder {
 public:
  Encoder(Context& context, const Pipelines& pipelines, double budget)
      : context_(context), api_(context.api()), pipelines_(pipelines), budget_(budget) {}

  void add(const DispatchCommand& dispatch);
  void add(const UploadCommand& upload);
  void add(const DownloadCommand& download);
  void add(const ResetCommand& reset);
  void add(const TimestampCommand& timestamp);
  CommandBuffers finish();

 private:
  VkCommandBuffer buffer() const { return made_.buffers.back(); }
  void begin();
  void open();
  void wait_for_earlier();
  void barrier(const Accesses& before, const Accesses& after);
  void barrier_between_dispatches();

  Context& context_;
  const DeviceApi& api_;
  const Pipelines& pipelines_;
  const double budget_;  // FLOP of a command buffer
  double spent_ = 0;     // of it
  Hazards hazards_;
  VkPipeline bound_ = VK_NULL_HANDLE;
  CommandBuffers made_;
};

void Encoder::begin() {
  open();
  wait_for_earlier();
}

void Encoder::open() {
  if (!made_.buffers.empty()) check(api_.EndCommandBuffer(buffer()), "commands");
  auto info =
      structure<VkCommandBufferAllocateInfo>(VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO);
  info.commandPool = context_.commands();
  info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  info.commandBufferCount = 1;
  VkCommandBuffer opened = VK_NULL_HANDLE;
  check(api_.AllocateCommandBuffers(context_.device(), &info, &opened), "commands");
  made_.buffers.push_back(opened);
  auto begin = structure<VkCommandBufferBeginInfo>(VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO);
  check(api_.BeginCommandBuffer(opened, &begin), "commands");
  spent_ = 0;
  bound_ = VK_NULL_HANDLE;
  hazards_.clear();
}

// For what was submitted before, copies of weights among it, and for an upload.
void Encoder::wait_for_earlier() {
  barrier({VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
           VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT},
          kByShaders);
}

// Without copies: on RADV's graphics queue these would also flush the caches of colour and depth,
// and wait for the end of the pipe.
void Encoder::barrier_between_dispatches() {
  barrier({VK_ACCESS_SHADER_WRITE_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT}, kByShaders);
}

void Encoder::barrier(const Accesses& before, const Accesses& after) {
  auto barrier = structure<VkMemoryBarrier>(VK_STRUCTURE_TYPE_MEMORY_BARRIER);
  barrier.srcAccessMask = before.what;
  barrier.dstAccessMask = after.what;
  api_.CmdPipelineBarrier(buffer(), before.stages, after.stages, 0, 1, &barrier, 0, nullptr, 0,
                          nullptr);
  ++made_.counts.barriers;
}

void Encoder::add(const UploadCommand& upload) {
  open();
  const VkBufferCopy all{0, 0, upload.bytes};
  api_.CmdCopyBuffer(buffer(), upload.from, upload.to, 1, &all);
  wait_for_earlier();
}

void Encoder::add(const DownloadCommand& download) {
  if (made_.buffers.empty()) begin();
  barrier(
      {VK_ACCESS_SHADER_WRITE_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT},
      {VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT});
  api_.CmdCopyBuffer(buffer(), download.from, download.to, 1, &download.region);
  barrier({VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT},
          {VK_ACCESS_HOST_READ_BIT, VK_PIPELINE_STAGE_HOST_BIT});
}

void Encoder::add(const ResetCommand& reset) {
  if (made_.buffers.empty()) begin();
  api_.CmdResetQueryPool(buffer(), reset.pool, 0, reset.queries);
}

void Encoder::add(const TimestampCommand& timestamp) {
  hazards_.clear();
  barrier_between_dispatches();
  api_.CmdWriteTimestamp(buffer(), VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, timestamp.pool,
                         timestamp.query);
}

void Encoder::add(const DispatchCommand& dispatch) {
  if (made_.buffers.empty() || (spent_ > 0 && spent_ + dispatch.flop > budget_)) begin();
  if (hazards_.add(dispatch.reads, dispatch.writes)) barrier_between_dispatches();
  spent_ += dispatch.flop;
  if (bound_ != dispatch.pipeline)
    api_.CmdBindPipeline(buffer(), VK_PIPELINE_BIND_POINT_COMPUTE, dispatch.pipeline);
  bound_ = dispatch.pipeline;
  api_.CmdPushConstants(buffer(), pipelines_.layout(), VK_SHADER_STAGE_COMPUTE_BIT, 0,
                        dispatch.push_bytes, dispatch.push.data());
  api_.CmdDispatch(buffer(), static_cast<uint32_t>(dispatch.groups.x),
                   static_cast<uint32_t>(dispatch.groups.y),
                   static_cast<uint32_t>(dispatch.groups.z));
  ++made_.counts.dispatches;
}

CommandBuffers Encoder::finish() {
  if (!made_.buffers.empty()) check(api_.EndCommandBuffer(buffer()), "commands");
  return std::move(made_);
}

}  // namespace

double Recording::flop() const {
  double all = 0;
  for (const Command& command : commands)
    if (const auto* dispatch = std::get_if<DispatchCommand>(&command)) all += dispatch->flop;
  return all;
}

CommandBuffers encode(const Recording& recording, Context& context, const Pipelines& pipelines,
                      double budget) {
  Encoder encoder(context, pipelines, budget);
  for (const Recording::Command& command : recording.commands)
    std::visit([&](const auto& one) { encoder.add(one); }, command);
  return encoder.finish();
}

void free(CommandBuffers& commands, Context& context) {
  if (!commands.buffers.empty())
    context.api().FreeCommandBuffers(context.device(), context.commands(),
                                     static_cast<uint32_t>(commands.buffers.size()),
                                     commands.buffers.data());
  commands = {};
}

}  // namespace ropewalk::vulkan
