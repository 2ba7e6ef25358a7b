#include "backends/vulkan/device/memory.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "core/abi/guard.h"
#include "core/abi/workspace.h"

namespace ropewalk::vulkan {
namespace {

using abi::Failure;
using abi::StatusCode;

bool is_out_of_memory(VkResult result) {
  return result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY;
}

}  // namespace

Memory::Memory(Context& context) : context_(context) {
  auto memory = structure<VkPhysicalDeviceMemoryProperties2>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2);
  context.instance().api().GetPhysicalDeviceMemoryProperties2(context.physical(), &memory);
  types_ = memory.memoryProperties;
  auto info =
      structure<VkCommandBufferAllocateInfo>(VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO);
  info.commandPool = context.commands();
  info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  info.commandBufferCount = 1;
  check(context.api().AllocateCommandBuffers(context.device(), &info, &copies_), "commands");
  staging_ = make_block(kStagingBytes, Reach::host);
}

Memory::~Memory() {
  if (!context_.alive()) return;
  destroy(staging_);
  blocks_.for_each([&](Block& block) { destroy(block); });
}

// Null where the memory is full.
VkDeviceMemory Memory::allocate_memory(const VkMemoryRequirements& needs, Reach reach) const {
  auto flags = structure<VkMemoryAllocateFlagsInfo>(VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO);
  flags.flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT;
  auto info = structure<VkMemoryAllocateInfo>(VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO);
  info.pNext = &flags;
  info.allocationSize = needs.size;
  const Features& features = context_.features();
  std::vector<uint32_t> types =
      memory_types(types_, needs.memoryTypeBits, reach, features.info.type);
  if (types.empty())
    throw Failure(StatusCode::out_of_memory, "the device has no memory of the type that is needed");
  // A driver may move what exceeds a heap instead of refusing it, so heaps with room come first.
  if (types.size() > 1) {
    const std::vector<uint64_t> free =
        free_of_heaps(context_.instance(), context_.physical(), features);
    std::stable_partition(types.begin(), types.end(), [&](uint32_t type) {
      return free[types_.memoryTypes[type].heapIndex] >= needs.size;
    });
  }
  for (const uint32_t type : types) {
    info.memoryTypeIndex = type;
    VkDeviceMemory memory = VK_NULL_HANDLE;
    const VkResult result =
        context_.api().AllocateMemory(context_.device(), &info, nullptr, &memory);
    if (is_out_of_memory(result)) continue;
    check(result, "memory");
    return memory;
  }
  return VK_NULL_HANDLE;
}

Block Memory::make_block(uint64_t bytes, Reach reach) {
  context_.require_alive();
  const Features& features = context_.features();
  const uint64_t size = std::max<uint64_t>(abi::align_up(bytes, 256), 256);
  const auto refuse = [&](const std::string& why) {
    throw Failure(StatusCode::out_of_memory,
                  "out of device memory: " + std::to_string(bytes) + " bytes asked, " + why);
  };
  if (size > features.largest_allocation)
    refuse("one allocation can have " + std::to_string(features.largest_allocation));
  const uint64_t limit = context_.options().faults.oom_after;
  const uint64_t free =
      limit ? limit - std::min(limit, allocated_)
            : memory_free(context_.instance(), context_.physical(), features, context_.options());
  const bool fits = !limit || !staging_.buffer || size <= free;

  Block block;
  block.bytes = size;
  try {
    auto buffer = structure<VkBufferCreateInfo>(VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO);
    buffer.size = size;
    buffer.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                   VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT;
    const DeviceApi& api = context_.api();
    check(api.CreateBuffer(context_.device(), &buffer, nullptr, &block.buffer), "a buffer");
    VkMemoryRequirements needs;
    api.GetBufferMemoryRequirements(context_.device(), block.buffer, &needs);
    if (fits) block.memory = allocate_memory(needs, reach);
    if (!block.memory) refuse(std::to_string(free) + " free");
    check(api.BindBufferMemory(context_.device(), block.buffer, block.memory, 0), "memory");
    if (reach == Reach::host) {
      void* mapped = nullptr;
      check(api.MapMemory(context_.device(), block.memory, 0, VK_WHOLE_SIZE, 0, &mapped), "memory");
      block.mapped = static_cast<std::byte*>(mapped);
    }
    auto of = structure<VkBufferDeviceAddressInfo>(VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO);
    of.buffer = block.buffer;
    block.address = api.GetBufferDeviceAddress(context_.device(), &of);
  } catch (...) {
    destroy(block);
    throw;
  }
  if (staging_.buffer) allocated_ += size;
  return block;
}

// Freeing memory also unmaps it. Nothing is destroyed that a lost device may still use.
void Memory::destroy(Block& block) {
  if (!context_.alive()) return;
  if (block.buffer) context_.api().DestroyBuffer(context_.device(), block.buffer, nullptr);
  if (block.memory) context_.api().FreeMemory(context_.device(), block.memory, nullptr);
  block = {};
}

abi::Buffer Memory::allocate(uint64_t bytes) {
  return blocks_.add(make_block(bytes, Reach::device));
}

void Memory::free(abi::Buffer buffer) {
  if (!context_.alive()) return;
  auto block = blocks_.take(buffer);
  if (!block) return;
  if (staged_.buffer.id == buffer.id) staged_ = {};
  context_.wait_for_all();
  destroy(*block);
}

VkDeviceAddress Memory::address(const abi::Slice& slice) const {
  return blocks_.of(slice).address + slice.offset;
}

// Returns when the copy has ended. A barrier on either side: earlier shaders may have written what
// it reads, later ones read what it writes.
void Memory::copy(VkBuffer from, VkBuffer to, std::span<const VkBufferCopy> regions) {
  staged_ = {};
  const DeviceApi& api = context_.api();
  auto begin = structure<VkCommandBufferBeginInfo>(VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO);
  begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  check(api.BeginCommandBuffer(copies_, &begin), "commands");
  auto barrier = structure<VkMemoryBarrier>(VK_STRUCTURE_TYPE_MEMORY_BARRIER);
  barrier.srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT;
  barrier.dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
  api.CmdPipelineBarrier(copies_, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT,
                         VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &barrier, 0, nullptr, 0, nullptr);
  api.CmdCopyBuffer(copies_, from, to, static_cast<uint32_t>(regions.size()), regions.data());
  barrier.srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT;
  barrier.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_HOST_READ_BIT;
  api.CmdPipelineBarrier(copies_, VK_PIPELINE_STAGE_TRANSFER_BIT,
                         VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_HOST_BIT, 0, 1,
                         &barrier, 0, nullptr, 0, nullptr);
  check(api.EndCommandBuffer(copies_), "commands");
  context_.wait_for(context_.submit({&copies_, 1}));
}

void Memory::write(const abi::Slice& to, std::span<const std::byte> from) {
  const Block& block = blocks_.of(to);
  context_.wait_for_all();  // a step may still copy into staging
  for (uint64_t done = 0; done < to.bytes; done += kStagingBytes) {
    const uint64_t count = std::min(kStagingBytes, to.bytes - done);
    std::memcpy(staging_.mapped, from.data() + done, count);
    copy(staging_.buffer, block.buffer, std::array{VkBufferCopy{0, to.offset + done, count}});
  }
}

void Memory::write_strips(const abi::Slice& to, const Strips& strips,
                          std::span<const std::byte> from) {
  const uint64_t count = from.size() / strips.bytes;
  const Block& block =
      blocks_.of({to.buffer, to.offset, (count - 1) * strips.stride + strips.bytes});
  if (strips.bytes == strips.stride) return write({to.buffer, to.offset, from.size()}, from);
  context_.wait_for_all();  // a step may still copy into staging
  const uint64_t at_once = kStagingBytes / strips.bytes;
  std::vector<VkBufferCopy> regions;
  for (uint64_t first = 0; first < count; first += at_once) {
    const uint64_t strips_here = std::min(at_once, count - first);
    std::memcpy(staging_.mapped, from.data() + first * strips.bytes, strips_here * strips.bytes);
    regions.clear();
    for (uint64_t i = 0; i < strips_here; ++i)
      regions.push_back({i * strips.bytes, to.offset + (first + i) * strips.stride, strips.bytes});
    copy(staging_.buffer, block.buffer, regions);
  }
}

void Memory::expect_in_staging(const abi::Slice& what, uint64_t number) {
  staged_ = what;
  staged_by_ = number;
}

bool Memory::is_in_staging(const abi::Slice& slice) const {
  return slice.buffer.id == staged_.buffer.id && slice.offset >= staged_.offset &&
         slice.offset + slice.bytes <= staged_.offset + staged_.bytes;
}

void Memory::read(std::span<std::byte> to, const abi::Slice& from) {
  const Block& block = blocks_.of(from);
  if (is_in_staging(from)) {
    context_.wait_for(staged_by_);
    std::memcpy(to.data(), staging_.mapped + (from.offset - staged_.offset), from.bytes);
    return;
  }
  for (uint64_t done = 0; done < from.bytes; done += kStagingBytes) {
    const uint64_t count = std::min(kStagingBytes, from.bytes - done);
    copy(block.buffer, staging_.buffer, std::array{VkBufferCopy{from.offset + done, 0, count}});
    std::memcpy(to.data() + done, staging_.mapped, count);
  }
}

}  // namespace ropewalk::vulkan
