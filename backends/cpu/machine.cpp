#include "backends/cpu/machine.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <memory>
#include <string_view>

namespace ropewalk::cpu {
namespace {

// The value of `key` in a file of "key : value" lines; empty if there is none.
std::string field(const char* path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const size_t value = line.find_first_not_of(" \t:", key.size());
    return value == std::string::npos ? "" : line.substr(value);
  }
  return "";
}

// 0 if the file, the key or the number is missing.
uint64_t number(const char* path, std::string_view key) {
  const std::string text = field(path, key);
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

uint32_t affinity_cores() {
  // A machine may have more cores than a cpu_set_t has bits.
  for (int cores = 1024; cores <= 1 << 20; cores *= 2) {
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(CPU_ALLOC(cores),
                                                               [](cpu_set_t* s) { CPU_FREE(s); });
    if (!set) break;
    const size_t bytes = CPU_ALLOC_SIZE(cores);
    if (sched_getaffinity(0, bytes, set.get()) == 0)
      return static_cast<uint32_t>(CPU_COUNT_S(bytes, set.get()));
  }
  return static_cast<uint32_t>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
}

// Without /proc: what the kernel tells by a system call, which counts no file cache as free.
uint64_t physical_bytes(int pages) {
  return static_cast<uint64_t>(std::max(0L, sysconf(pages))) *
         static_cast<uint64_t>(std::max(0L, sysconf(_SC_PAGESIZE)));
}

}  // namespace

std::string processor_name() {
  const std::string name = field("/proc/cpuinfo", "model name");
#if defined(__x86_64__)
  return name.empty() ? "x86-64 processor" : name;
#else
  return name.empty() ? "processor" : name;
#endif
}

uint32_t usable_cores() {
  uint32_t cores = affinity_cores();
  // "quota period" in microseconds, or "max period".
  std::ifstream limit("/sys/fs/cgroup/cpu.max");
  double quota = 0, period = 0;
  if (limit >> quota >> period && quota > 0 && period > 0)
    cores = std::min(cores, static_cast<uint32_t>(std::ceil(quota / period)));
  return std::max(cores, 1u);
}

uint64_t memory_total() {
  const uint64_t told = number("/proc/meminfo", "MemTotal") * 1024;
  return told != 0 ? told : physical_bytes(_SC_PHYS_PAGES);
}

uint64_t memory_free() {
  const uint64_t told = number("/proc/meminfo", "MemAvailable") * 1024;
  const uint64_t machine = told != 0 ? told : physical_bytes(_SC_AVPHYS_PAGES);
  // A control group's limit minus its use; its inactive file cache can be reclaimed.
  const uint64_t limit = number("/sys/fs/cgroup/memory.max", "");
  const uint64_t used = number("/sys/fs/cgroup/memory.current", "");
  const uint64_t files = number("/sys/fs/cgroup/memory.stat", "inactive_file");
  if (limit == 0) return machine;  // no limit, or "max"
  const uint64_t kept = used - std::min(used, files);
  return std::min(machine, limit - std::min(limit, kept));
}

uint64_t last_level_cache() {
  long bytes = 0;
#if defined(_SC_LEVEL4_CACHE_SIZE)
  bytes = std::max(sysconf(_SC_LEVEL3_CACHE_SIZE), sysconf(_SC_LEVEL4_CACHE_SIZE));
#endif
  return bytes > 0 ? static_cast<uint64_t>(bytes) : 0;
}

}  // namespace ropewalk::cpu
