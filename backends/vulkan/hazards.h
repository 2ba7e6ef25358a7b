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

// The last such thing, until either of its ranges is written.
class Remembered {
 public:
  bool is(const Derived& derived) const { return last_ == derived; }
  void set(const Derived& derived) { last_ = derived; }
  void forget_written(std::initializer_list<Range> writes);

 private:
  std::optional<Derived> last_;
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
