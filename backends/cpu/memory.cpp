#include "backends/cpu/memory.h"

#include <sys/mman.h>

#include <string>

#include "backends/cpu/machine.h"
#include "core/abi/guard.h"

namespace ropewalk::cpu {

Memory::~Memory() {
  blocks_.for_each([](const Block& block) { munmap(block.data, block.bytes); });
}

abi::Buffer Memory::allocate(uint64_t bytes) {
  const uint64_t free = memory_free();
  const uint64_t size = bytes ? bytes : 1;
  void* data = MAP_FAILED;
  // mmap() would succeed for more than there is, and the process would be killed when it is used.
  if (size <= free)
    data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED)
    throw abi::Failure(abi::StatusCode::out_of_memory,
                       "out of host memory: " + std::to_string(bytes) + " bytes asked, " +
                           std::to_string(free) + " free");
  madvise(data, size, MADV_HUGEPAGE);  // fewer TLB misses on weights; a hint, so unchecked
  return blocks_.add({static_cast<std::byte*>(data), size});
}

void Memory::free(abi::Buffer buffer) {
  if (const auto block = blocks_.take(buffer)) munmap(block->data, block->bytes);
}

std::byte* Memory::address(const abi::Slice& slice) const {
  return blocks_.of(slice).data + slice.offset;
}

}  // namespace ropewalk::cpu
