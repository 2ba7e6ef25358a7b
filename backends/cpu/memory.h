// memory.h — the device's buffers by number: pages of host memory.
//
// Not thread-safe: calls on one device come from one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/abi/device_tables.h"

namespace ropewalk::cpu {

class Memory {
 public:
  Memory() = default;
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // Zeroed and page-aligned. Throws Failure (out_of_memory) with what was asked and what is free.
  abi::Buffer allocate(uint64_t bytes);
  void free(abi::Buffer buffer);
  // The first byte of the slice. Throws Failure (invalid_argument) where it is not inside its
  // buffer.
  std::byte* address(const abi::Slice& slice) const;

 private:
  struct Block {
    std::byte* data;
    uint64_t bytes;
  };
  abi::BufferTable<Block> blocks_;
};

}  // namespace ropewalk::cpu
