#include "backends/vulkan/program/recorder.h"

#include <algorithm>
#include <string>

#include "core/abi/guard.h"

namespace ropewalk::vulkan {

void Recorder::upload(const Block& from, const Block& to) {
  recording_.commands.emplace_back(UploadCommand{from.buffer, to.buffer, to.bytes});
}

void Recorder::download(const Block& from, const VkBufferCopy& region, VkBuffer to) {
  recording_.commands.emplace_back(DownloadCommand{from.buffer, to, region});
}

void Recorder::reset(VkQueryPool pool, uint32_t queries) {
  recording_.commands.emplace_back(ResetCommand{pool, queries});
}

void Recorder::timestamp(VkQueryPool pool, uint32_t query) {
  recording_.commands.emplace_back(TimestampCommand{pool, query});
}

void Recorder::record(const Dispatch& what, std::span<const std::byte> push,
                      std::initializer_list<Range> reads, std::initializer_list<Range> writes) {
  constexpr uint64_t kMaxGroups = 65535;  // the limit that every device has
  if (std::max({what.groups.x, what.groups.y, what.groups.z}) > kMaxGroups)
    throw abi::Failure(abi::StatusCode::unsupported,
                       std::string(what.shader.name) + ": more than 65535 workgroups");
  DispatchCommand dispatch{.pipeline = pipelines_.get(what.shader, what.constants),
                           .groups = what.groups,
                           .push = {},
                           .push_bytes = static_cast<uint32_t>(push.size()),
                           .reads = reads,
                           .writes = writes,
                           .flop = what.flop};
  std::ranges::copy(push, dispatch.push.begin());
  derived_.add(dispatch.reads, dispatch.writes);
  recording_.commands.emplace_back(std::move(dispatch));
}

}  // namespace ropewalk::vulkan
