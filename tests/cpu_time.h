// cpu_time.h — bounds on work, which hold on a machine that other programs keep busy.
#pragma once

#include <time.h>

#include <stdexcept>

namespace ropewalk::test {

inline double seconds_of(clockid_t clock) {
  timespec time{};
  if (clock_gettime(clock, &time) != 0) throw std::runtime_error("no such clock");
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// What this process has used, by all of its threads.
inline double cpu_seconds() { return seconds_of(CLOCK_PROCESS_CPUTIME_ID); }

}  // namespace ropewalk::test
