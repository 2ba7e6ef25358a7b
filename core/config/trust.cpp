#include "core/config/trust.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include "core/base/error.h"
#include "core/base/log.h"

namespace ropewalk {

void check_writable_by_others(const std::filesystem::path& path, Trust trust) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0 || (status.st_mode & S_IWOTH) == 0) return;
  const std::string what = "may be written by every user of this machine";
  const std::string advice = fmt::format("Take the right away: chmod o-w {}", path.string());
  if (trust == Trust::refuse) throw Error(ExitCode::usage, path.string(), what, advice);
  warn(fmt::format("{}: {}. {}.", path.string(), what, advice));
}

}  // namespace ropewalk
