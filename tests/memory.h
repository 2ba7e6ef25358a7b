// memory.h — the memory of this process, for tests that bound it.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>

namespace ropewalk::test {

// A line of /proc/self/status, in bytes.
inline uint64_t memory_line(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(name + ":")) return std::stoull(line.substr(name.size() + 1)) * 1024;
  return 0;
}

inline uint64_t memory_now() { return memory_line("VmRSS"); }
// The maximum since forget_peak().
inline uint64_t memory_peak() { return memory_line("VmHWM"); }
inline void forget_peak() { std::ofstream("/proc/self/clear_refs") << 5; }

}  // namespace ropewalk::test
