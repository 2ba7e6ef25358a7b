// timestamp_clock.h — what the timestamps that a queue writes mean.
//
// Plain arithmetic, without Vulkan.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ropewalk::vulkan {

struct TimestampClock {
  uint32_t bits = 0;   // of the counter, which may wrap; 0: the queue writes no timestamps
  double tick_ns = 0;  // nanoseconds of one tick

  // Microseconds from the first timestamp to each of the others. REQUIRES: at least one timestamp,
  // less than one round of the counter between the first and the last.
  std::vector<double> since_first_us(const std::vector<uint64_t>& ticks) const {
    const uint64_t mask = bits < 64 ? (uint64_t{1} << bits) - 1 : ~uint64_t{0};
    std::vector<double> us;
    for (const uint64_t tick : std::span(ticks).subspan(1))
      us.push_back(static_cast<double>((tick - ticks[0]) & mask) * tick_ns / 1e3);
    return us;
  }
};

}  // namespace ropewalk::vulkan
