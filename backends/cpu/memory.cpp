#include "backends/cpu/memory.h"

#include <sys/mman.h>

#include <string>

#include "backends/cpu/machine.h"
#include "core/abi/guard.h"

namespace ropewalk::cpu {

Memory::~Memory() {
  for (const auto& [id, block] : blocks_) munmap(block.data, block.bytes);
}

abi::Buffer Memory::allocate(uint64_t bytes) {
  const uint64_t free = memory_free();
  const uint64_t size = bytes ? bytes : 1;
  void* data = MAP_FAILED;
  // The system would promise more than it has and end the process when the promise is called in.
  if (size <= free)
    data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED)
    throw abi::Failure(abi::StatusCode::out_of_memory,
                       "out of host memory: " + std::to_string(bytes) + " bytes asked, " +
                           std::to_string(free) + " free");
  madvise(data, size, MADV_HUGEPAGE);  // fewer TLB misses on weights; a hint, so no check
  blocks_[++last_] = {static_cast<std::byte*>(data), size};
  return {last_};
}

void Memory::free(abi::Buffer buffer) {
  const auto found = blocks_.find(buffer.id);
  if (found == blocks_.end()) return;
  munmap(found->second.data, found->second.bytes);
  blocks_.erase(found);
}

std::byte* Memory::at(const abi::Slice& slice) const {
  const auto found = blocks_.find(slice.buffer.id);
  if (found == blocks_.end())
    throw abi::Failure(abi::StatusCode::invalid_argument,
                       "no buffer " + std::to_string(slice.buffer.id));
  const Block& block = found->second;
  if (slice.offset > block.bytes || slice.bytes > block.bytes - slice.offset)
    throw abi::Failure(abi::StatusCode::invalid_argument,
                       "slice " + std::to_string(slice.offset) + "+" + std::to_string(slice.bytes) +
                           " is outside its buffer of " + std::to_string(block.bytes) + " bytes");
  return block.data + slice.offset;
}

}  // namespace ropewalk::cpu
