// hazards.h — which dispatches must wait for which, and which need not run again: the one place
// where barriers are decided.
//
// Plain bookkeeping over address ranges, without Vulkan. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <vector>

namespace ropewalk::vulkan {

// Bytes of device memory.
struct Range {
  uint64_t begin = 0, end = 0;

  bool operator==(const Range&) const = default;
  bool overlaps(const Range& other) const { return begin < other.end && other.begin < end; }
};

// That `made` holds what was made of `from`, in the way that `how` numbers.
struct Derived {
  Range from, made;
  std::array<uint32_t, 4> how = {};

  bool operator==(const Derived&) const = default;
};

// What was read and written since the last barrier, and what was last derived.
class Hazards {
 public:
  // Whether a dispatch with these accesses must wait for those before; if so those are forgotten.
  bool add(std::initializer_list<Range> reads, std::initializer_list<Range> writes);
  void clear();
  // Until a dispatch writes either of its ranges, or something else is remembered.
  void remember(const Derived& derived) { derived_ = derived; }
  bool remembers(const Derived& derived) const { return derived_ == derived; }

 private:
  std::vector<Range> read_, written_;
  std::optional<Derived> derived_;
};

}  // namespace ropewalk::vulkan
