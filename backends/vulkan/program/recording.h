// recording.h — what a program does, as a list of commands, and the command buffers made of it.
//
// The list stays, so that it can be cut anew: into as many command buffers as submissions, whose
// length is known only when a step has run (pace.h). Borrows the pipelines, buffers and query pools
// that its commands name.
#pragma once

#include <array>
#include <initializer_list>
#include <variant>
#include <vector>

#include "backends/vulkan/device/context.h"
#include "backends/vulkan/program/hazards.h"
#include "backends/vulkan/program/pipelines.h"
#include "core/abi/step_counts.h"

namespace ropewalk::vulkan {

struct Groups {
  uint64_t x, y, z;
};

struct DispatchCommand {
  VkPipeline pipeline;
  Groups groups;
  std::array<std::byte, kPushBytes> push;
  uint32_t push_bytes;
  std::vector<Range> reads, writes;
  double flop;  // an estimate
};
struct UploadCommand {  // before everything else
  VkBuffer from, to;
  uint64_t bytes;
};
struct DownloadCommand {
  VkBuffer from, to;
  VkBufferCopy region;
};
struct ResetCommand {
  VkQueryPool pool;
  uint32_t queries;
};
struct TimestampCommand {
  VkQueryPool pool;
  uint32_t query;
};

struct Recording {
  using Command =
      std::variant<DispatchCommand, UploadCommand, DownloadCommand, ResetCommand, TimestampCommand>;

  double flop() const;

  std::vector<Command> commands;
};

// The owner frees the buffers.
struct CommandBuffers {
  std::vector<VkCommandBuffer> buffers;  // to be submitted in this order
  abi::StepCounts counts;
};

// With at most `budget` FLOP in a command buffer, or one dispatch that has more.
CommandBuffers encode(const Recording& recording, Context& context, const Pipelines& pipelines,
                      double budget);
void free(CommandBuffers& commands, Context& context);

}  // namespace ropewalk::vulkan
