#include "core/serve/guard/process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

namespace ropewalk::serve {
namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

}  // namespace

ProcessUse process_use() {
  ProcessUse use;
  rusage times{};
  getrusage(RUSAGE_SELF, &times);
  use.cpu_seconds = seconds(times.ru_utime) + seconds(times.ru_stime);
  uint64_t size = 0, resident = 0;  // pages
  if (std::ifstream("/proc/self/statm") >> size >> resident)
    use.resident_bytes = resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  std::error_code error;
  const std::filesystem::directory_iterator files("/proc/self/fd", error);
  if (!error) use.open_files = static_cast<uint32_t>(std::distance(begin(files), end(files)));
  return use;
}

}  // namespace ropewalk::serve
