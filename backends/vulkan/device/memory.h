// memory.h — the device's buffers by number, and copies into and out of them.
//
// Buffers lie in the device's own memory. The host reaches them through a small staging buffer, so
// a weight of any size is copied in pieces. Not thread-safe.
#pragma once

#include <cstddef>
#include <span>

#include "backends/vulkan/device/context.h"
#include "backends/vulkan/device/memory_types.h"
#include "core/abi/backend.h"
#include "core/abi/device_tables.h"

namespace ropewalk::vulkan {

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
  // Staging, a piece of the same size that packing writes, and what weights are read into: together
  // less than 64 MiB of the host's memory.
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
  const Block& block(const abi::Slice& slice) const { return blocks_.of(slice); }
  void write(const abi::Slice& to, std::span<const std::byte> from);
  // Copies strips of `bytes` bytes, contiguous in `from`, to places `stride` bytes apart that begin
  // at the offset of `to`. REQUIRES: a strip is at most kStagingBytes.
  struct Strips {
    uint64_t bytes, stride;
  };
  void write_strips(const abi::Slice& to, const Strips& strips, std::span<const std::byte> from);
  void read(std::span<std::byte> to, const abi::Slice& from);
  // A step may copy what is read after it into staging, which saves a submission. Submission
  // `number` copies all of `what` there; an empty slice: nothing. Any copy makes staging forget it.
  VkBuffer staging() const { return staging_.buffer; }
  void expect_in_staging(const abi::Slice& what, uint64_t number);

  // For a program's own inputs.
  Block make_block(uint64_t bytes, Reach reach);
  void destroy(Block& block);

 private:
  VkDeviceMemory allocate_memory(const VkMemoryRequirements& needs, Reach reach) const;
  bool is_in_staging(const abi::Slice& slice) const;
  // Copies between buffers, one of which is staging.
  void copy(VkBuffer from, VkBuffer to, std::span<const VkBufferCopy> regions);

  Context& context_;
  VkPhysicalDeviceMemoryProperties types_;
  abi::BufferTable<Block> blocks_;
  uint64_t allocated_ = 0;  // bytes without the staging buffer, for the fault oom-after
  Block staging_;
  abi::Slice staged_;       // what staging holds, or will when `staged_by_` has ended
  uint64_t staged_by_ = 0;  // a submission
  VkCommandBuffer copies_ = VK_NULL_HANDLE;
};

}  // namespace ropewalk::vulkan
