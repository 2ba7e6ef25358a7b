// timestamps.h — when each launch group of a timed program ended, by the device's clock.
//
// One query for the begin of the first group and one for the end of each. Borrows its context.
#pragma once

#include <vector>

#include "backends/vulkan/device/context.h"

namespace ropewalk::vulkan {

class Timestamps {
 public:
  // REQUIRES: the queue has timestamps.
  Timestamps(Context& context, size_t groups);
  ~Timestamps();
  Timestamps(const Timestamps&) = delete;
  Timestamps& operator=(const Timestamps&) = delete;

  VkQueryPool pool() const { return pool_; }
  uint32_t count() const { return count_; }

  // Microseconds since the first group began. Throws Failure. REQUIRES: the step has been waited
  // for.
  std::vector<double> ends_us() const;

 private:
  Context& context_;
  const uint32_t count_;
  VkQueryPool pool_ = VK_NULL_HANDLE;
};

}  // namespace ropewalk::vulkan
