// reordering_loader.cpp — a Vulkan loader that runs commands in an order they were not recorded in.
//
// A driver for a processor runs commands as they were recorded, and the validation layer does not
// see what shaders reach by address. A missing barrier would show on a GPU alone. But Vulkan allows
// any order of commands that no barrier separates. So this loader keeps what is recorded and hands
// it to the driver when the recording ends, each command as late as barriers let it be:
//
//   recorded   A  B  barrier  C  D       handed on   B  A  barrier  D  C
//
// A barrier separates only commands whose stage and accesses it names. A dispatch that does not
// wait for earlier submissions makes the recording fail. Everything else is the driver's.
//
// With ROPEWALK_COUNT_SUBMISSIONS the end of a device tells how many it was given, with
// ROPEWALK_TELL_TEARDOWN the exit of the process that it takes this library down.
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/vulkan/interposed.h"

namespace {

struct Scope {
  VkPipelineStageFlags stages = 0;
  VkAccessFlags accesses = 0;
};

// What a barrier's names stand for.
Scope expanded(Scope scope) {
  if (scope.stages & VK_PIPELINE_STAGE_ALL_COMMANDS_BIT) scope.stages = ~0u;
  if (scope.accesses & VK_ACCESS_MEMORY_READ_BIT)
    scope.accesses |= VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT;
  if (scope.accesses & VK_ACCESS_MEMORY_WRITE_BIT)
    scope.accesses |= VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
  return scope;
}

bool covers(const Scope& barrier, VkPipelineStageFlags stage, VkAccessFlags accesses) {
  return (barrier.stages & stage) == stage && (barrier.accesses & accesses) == accesses;
}

struct Command {
  enum class Kind { work, barrier, fence };  // a fence stays where it is
  Kind kind = Kind::fence;
  Scope before, after;           // of a barrier
  VkPipelineStageFlags stage{};  // of work
  VkAccessFlags reads{}, writes{};
  std::function<void(VkCommandBuffer)> record = [](VkCommandBuffer) {};
};

// Whether `later` must stay behind `earlier`, directly.
bool separates(const Command& earlier, const Command& later) {
  using Kind = Command::Kind;
  if (earlier.kind == Kind::fence || later.kind == Kind::fence) return true;
  if (earlier.kind == Kind::barrier && later.kind == Kind::barrier)
    return (earlier.after.stages & later.before.stages) != 0;
  if (later.kind == Kind::barrier) return covers(later.before, earlier.stage, earlier.writes);
  if (earlier.kind == Kind::barrier)
    return covers(earlier.after, later.stage, later.reads | later.writes);
  return false;
}

Command dispatch_of(std::function<void(VkCommandBuffer)> record) {
  return {Command::Kind::work,
          {},
          {},
          VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
          VK_ACCESS_SHADER_READ_BIT,
          VK_ACCESS_SHADER_WRITE_BIT,
          std::move(record)};
}
Command copy_of(std::function<void(VkCommandBuffer)> record) {
  return {Command::Kind::work,
          {},
          {},
          VK_PIPELINE_STAGE_TRANSFER_BIT,
          VK_ACCESS_TRANSFER_READ_BIT,
          VK_ACCESS_TRANSFER_WRITE_BIT,
          std::move(record)};
}
Command fence_of(std::function<void(VkCommandBuffer)> record) {
  Command command;
  command.record = std::move(record);
  return command;
}

struct Recording {
  std::vector<Command> commands;
  VkPipeline pipeline = VK_NULL_HANDLE;
  VkPipelineLayout layout = VK_NULL_HANDLE;
  std::vector<char> constants;
};
std::map<VkCommandBuffer, Recording> recordings;

// The commands of earlier submissions come first: dispatches and copies.
constexpr size_t kEarlier = 2;

VkResult VKAPI_CALL begin(VkCommandBuffer buffer, const VkCommandBufferBeginInfo* info) {
  Recording& recording = recordings[buffer] = {};
  recording.commands = {dispatch_of([](VkCommandBuffer) {}), copy_of([](VkCommandBuffer) {})};
  return RW_REAL(vkBeginCommandBuffer)(buffer, info);
}

// The commands in an order in which each comes as late as it may: from the end, always the first of
// those that no command without a place must follow.
std::vector<size_t> late_order(const std::vector<Command>& commands) {
  const size_t count = commands.size();
  std::vector<size_t> followers(count, 0);  // that have no place yet
  for (size_t later = 0; later < count; ++later)
    for (size_t earlier = 0; earlier < later; ++earlier)
      followers[earlier] += separates(commands[earlier], commands[later]);
  std::vector<bool> placed(count, false);
  std::vector<size_t> order(count);
  for (size_t place = count; place-- > 0;) {
    size_t next = 0;
    while (placed[next] || followers[next] > 0) ++next;  // the last without a place has none
    placed[next] = true;
    order[place] = next;
    for (size_t earlier = 0; earlier < next; ++earlier)
      followers[earlier] -= separates(commands[earlier], commands[next]);
  }
  return order;
}

VkResult VKAPI_CALL end(VkCommandBuffer buffer) {
  const std::vector<Command> commands = std::move(recordings[buffer].commands);
  size_t earlier_done = 0;
  for (const size_t next : late_order(commands)) {
    earlier_done += next < kEarlier;
    if (earlier_done < kEarlier && next >= kEarlier &&
        commands[next].stage == VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT) {
      std::fprintf(stderr, "a dispatch does not wait for earlier submissions\n");
      return VK_ERROR_UNKNOWN;
    }
    commands[next].record(buffer);
  }
  return RW_REAL(vkEndCommandBuffer)(buffer);
}

void VKAPI_CALL barrier(VkCommandBuffer buffer, VkPipelineStageFlags before,
                        VkPipelineStageFlags after, VkDependencyFlags flags, uint32_t count,
                        const VkMemoryBarrier* barriers, uint32_t, const VkBufferMemoryBarrier*,
                        uint32_t, const VkImageMemoryBarrier*) {
  const std::vector<VkMemoryBarrier> kept(barriers, barriers + count);
  Command command = fence_of([=](VkCommandBuffer to) {
    RW_REAL(vkCmdPipelineBarrier)
    (to, before, after, flags, count, kept.data(), 0, nullptr, 0, nullptr);
  });
  command.kind = Command::Kind::barrier;
  command.before = expanded({before, count ? barriers->srcAccessMask : 0});
  command.after = expanded({after, count ? barriers->dstAccessMask : 0});
  recordings[buffer].commands.push_back(std::move(command));
}

void VKAPI_CALL bind(VkCommandBuffer buffer, VkPipelineBindPoint, VkPipeline pipeline) {
  recordings[buffer].pipeline = pipeline;
}

void VKAPI_CALL push(VkCommandBuffer buffer, VkPipelineLayout layout, VkShaderStageFlags, uint32_t,
                     uint32_t bytes, const void* values) {
  const char* const begin = static_cast<const char*>(values);
  recordings[buffer].layout = layout;
  recordings[buffer].constants.assign(begin, begin + bytes);
}

void VKAPI_CALL dispatch(VkCommandBuffer buffer, uint32_t x, uint32_t y, uint32_t z) {
  Recording& recording = recordings[buffer];
  const auto record = [=, pipeline = recording.pipeline, layout = recording.layout,
                       constants = recording.constants](VkCommandBuffer to) {
    RW_REAL(vkCmdBindPipeline)(to, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    RW_REAL(vkCmdPushConstants)
    (to, layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, static_cast<uint32_t>(constants.size()),
     constants.data());
    RW_REAL(vkCmdDispatch)(to, x, y, z);
  };
  recording.commands.push_back(dispatch_of(record));
}

void VKAPI_CALL copy(VkCommandBuffer buffer, VkBuffer from, VkBuffer to, uint32_t count,
                     const VkBufferCopy* regions) {
  const std::vector<VkBufferCopy> kept(regions, regions + count);
  recordings[buffer].commands.push_back(copy_of([=](VkCommandBuffer into) {
    RW_REAL(vkCmdCopyBuffer)(into, from, to, count, kept.data());
  }));
}

void VKAPI_CALL reset_queries(VkCommandBuffer buffer, VkQueryPool pool, uint32_t first,
                              uint32_t count) {
  recordings[buffer].commands.push_back(fence_of([=](VkCommandBuffer to) {
    RW_REAL(vkCmdResetQueryPool)(to, pool, first, count);
  }));
}

void VKAPI_CALL timestamp(VkCommandBuffer buffer, VkPipelineStageFlagBits stage, VkQueryPool pool,
                          uint32_t query) {
  recordings[buffer].commands.push_back(fence_of([=](VkCommandBuffer to) {
    RW_REAL(vkCmdWriteTimestamp)(to, stage, pool, query);
  }));
}

uint32_t submissions = 0;

VkResult VKAPI_CALL submit(VkQueue queue, uint32_t count, const VkSubmitInfo* infos,
                           VkFence fence) {
  submissions += count;
  return RW_REAL(vkQueueSubmit)(queue, count, infos, fence);
}

void VKAPI_CALL destroy_device(VkDevice device, const VkAllocationCallbacks* callbacks) {
  if (std::getenv("ROPEWALK_COUNT_SUBMISSIONS")) std::fprintf(stderr, "%u\n", submissions);
  RW_REAL(vkDestroyDevice)(device, callbacks);
}

struct Teardown {
  ~Teardown() {
    if (std::getenv("ROPEWALK_TELL_TEARDOWN")) std::fputs("taken down\n", stderr);
  }
} teardown;

const Functions& own_functions() {
  static const Functions functions = {
      RW_OWN(vkDestroyDevice, destroy_device), RW_OWN(vkQueueSubmit, submit),
      RW_OWN(vkBeginCommandBuffer, begin),     RW_OWN(vkEndCommandBuffer, end),
      RW_OWN(vkCmdPipelineBarrier, barrier),   RW_OWN(vkCmdBindPipeline, bind),
      RW_OWN(vkCmdPushConstants, push),        RW_OWN(vkCmdDispatch, dispatch),
      RW_OWN(vkCmdCopyBuffer, copy),           RW_OWN(vkCmdResetQueryPool, reset_queries),
      RW_OWN(vkCmdWriteTimestamp, timestamp),
  };
  return functions;
}

}  // namespace
