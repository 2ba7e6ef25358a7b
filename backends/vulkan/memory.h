// memory.h — the device's buffers, named by number, and the ways in and out of them.
//
// Buffers lie in the device's own memory and are reached through a small staging buffer that the
// host sees, so that a weight of any size goes through in pieces. Not thread-safe.
#pragma once

#include <cstddef>
#include <span>

#include "backends/vulkan/context.h"
#include "core/abi/backend.h"
#include "core/abi/device_tables.h"

namespace ropewalk::vulkan {

enum class Reach { device, host };

// A VkBuffer with memory of its own and an address. The owner destroys it.
struct Block {
  VkBuffer buffer = VK_NULL_HANDLE;
  VkDeviceMemory memory = VK_NULL_HANDLE;
  uint64_t bytes = 0;
  VkDeviceAddress address = 0;
  std::byte* mapped = nullptr;  // Reach::host
};

class Memory {
 public:
  // With a piece of the same size that packing writes and what weights are read into it stays below
  // 64 MiB of the host's memory.
  static constexpr uint64_t kStagingBytes = uint64_t{8} << 20;
  static constexpr uint64_t kReadingBytes = uint64_t{40} << 20;

  explicit Memory(Context& context);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // Throws Failure (out_of_memory) with what was asked and what is free.
  abi::Buffer allocate(uint64_t bytes);
  void free(abi::Buffer buffer);
  // Throws Failure (invalid_argument) where the slice is not inside its buffer.
  VkDeviceAddress address(const abi::Slice& slice) const;
  void write(const abi::Slice& to, std::span<const std::byte> from);
  // Strips that lie one after another in `from`, `stride` bytes from one begin to the next in the
  // buffer of `to`, from its offset on. REQUIRES: a strip is at most kStagingBytes.
  struct Strips {
    uint64_t bytes, stride;
  };
  void write_strips(const abi::Slice& to, const Strips& strips, std::span<const std::byte> from);
  void read(std::span<std::byte> to, const abi::Slice& from);

  // For a program's own inputs and workspace.
  Block make_block(uint64_t bytes, Reach reach);
  void destroy(Block& block);

 private:
  uint32_t memory_type(uint32_t allowed, Reach reach) const;
  void copy(VkBuffer from, VkBuffer to, std::span<const VkBufferCopy> regions);

  Context& context_;
  VkPhysicalDeviceMemoryProperties types_;
  abi::BufferTable<Block> blocks_;
  uint64_t allocated_ = 0;  // bytes beside the staging buffer, for the fault oom-after
  Block staging_;
  VkCommandBuffer copies_ = VK_NULL_HANDLE;
};

}  // namespace ropewalk::vulkan
