// hazards.h — which dispatches must wait for which, and which need not run again: the one place
// where barriers are decided.
//
// Bookkeeping over address ranges, without Vulkan. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace ropewalk::vulkan {

// Bytes of device memory.
struct Range {
  uint64_t begin = 0, end = 0;

  bool operator==(const Range&) const = default;
  bool overlaps(const Range& other) const { return begin < other.end && other.begin < end; }
};

// `result` was computed from `source`; `parameters` are all else that it depends on.
struct Derived {
  Range source, result;
  std::array<uint32_t, 5> parameters = {};

  bool operator==(const Derived&) const = default;
};

// What was read and written since the last barrier, and the last result that may be used again.
class Hazards {
 public:
  // Whether a dispatch with these accesses must wait for those before it. The caller then records a
  // barrier; accesses before it are forgotten.
  bool add(const std::vector<Range>& reads, const std::vector<Range>& writes);
  void clear();
  // One result at a time, until a dispatch writes to its source or to itself.
  void remember(const Derived& derived) { derived_ = derived; }
  bool remembers(const Derived& derived) const { return derived_ == derived; }

 private:
  std::vector<Range> read_, written_;
  std::optional<Derived> derived_;
};

}  // namespace ropewalk::vulkan
