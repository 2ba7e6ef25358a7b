// weight_arena.h — places many slices in few buffers.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "core/abi/graph.h"

namespace ropewalk {

// Drivers limit the number of allocations (some to 4096) and their size, so weights share
// buffers of up to 1 GiB; one that is larger has its own.
class WeightArena {
 public:
  static constexpr uint64_t kBufferBytes = uint64_t{1} << 30;
  static constexpr uint64_t kAlignment = 256;

  static uint64_t aligned(uint64_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }

  // REQUIRES: slice->bytes is set and a multiple of kAlignment; the slice outlives place().
  void add(abi::Slice* slice) { slices_.push_back(slice); }

  // Gives every slice its buffer and offset. A buffer is exactly as large as its slices.
  void place(const std::function<abi::Buffer(uint64_t bytes)>& allocate) const {
    size_t first = 0;
    while (first < slices_.size()) {
      uint64_t bytes = slices_[first]->bytes;
      size_t last = first + 1;
      while (last < slices_.size() && bytes + slices_[last]->bytes <= kBufferBytes) {
        bytes += slices_[last++]->bytes;
      }
      const abi::Buffer buffer = allocate(bytes);
      uint64_t offset = 0;
      for (; first < last; ++first) {
        slices_[first]->buffer = buffer;
        slices_[first]->offset = offset;
        offset += slices_[first]->bytes;
      }
    }
  }

 private:
  std::vector<abi::Slice*> slices_;
};

}  // namespace ropewalk
