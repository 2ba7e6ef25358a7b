// hazards.h — which dispatches must wait for which: the one place where barriers are decided.
//
// Plain bookkeeping over address ranges, without Vulkan. Not thread-safe.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

namespace ropewalk::vulkan {

// Bytes of device memory.
struct Range {
  uint64_t begin = 0, end = 0;

  bool overlaps(const Range& other) const { return begin < other.end && other.begin < end; }
};

// What was read and written since the last barrier.
class Hazards {
 public:
  // Whether a dispatch with these accesses must wait for those before; if so those are forgotten.
  bool add(std::initializer_list<Range> reads, std::initializer_list<Range> writes);
  void clear();

 private:
  std::vector<Range> read_, written_;
};

}  // namespace ropewalk::vulkan
