// process.h — what this process uses, as Prometheus's clients name it (process_*).
#pragma once

#include <cstdint>

namespace ropewalk::serve {

struct ProcessUse {
  double cpu_seconds = 0;       // of all threads, user and system
  uint64_t resident_bytes = 0;  // 0: not known
  uint32_t open_files = 0;      // 0: not known
};

// Takes microseconds. Any thread may call it.
ProcessUse process_use();

}  // namespace ropewalk::serve
