// counters.h — counters in the device's memory: by them the last workgroup of a group of several
// finds that it is the last (shaders/last.glsl).
//
// Outside the workspace, which programs share and nobody clears: each counter is 0 where a dispatch
// begins and where it ends, for all programs of a device.
#pragma once

#include <cstdint>
#include <optional>

#include "backends/vulkan/device/memory.h"
#include "backends/vulkan/program/hazards.h"

namespace ropewalk::vulkan {

class Counters {
 public:
  static constexpr uint32_t kCount = 16384;  // that there are

  explicit Counters(Memory& memory) : memory_(memory) {}

  // The first `count` of them, for a dispatch that writes this range: the recorder then keeps two
  // such dispatches apart. They are made at the first call. Throws Failure (out_of_memory).
  // REQUIRES: count <= kCount.
  Range first(uint32_t count);

 private:
  Memory& memory_;
  std::optional<abi::Slice> all_;
};

}  // namespace ropewalk::vulkan
