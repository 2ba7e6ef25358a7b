#include "core/modules/program_path.h"

#include <sys/auxv.h>

#include "core/base/error.h"

namespace ropewalk {

namespace fs = std::filesystem;

fs::path program_path() {
  std::error_code error;
  const fs::path linked = fs::read_symlink("/proc/self/exe", error);
  if (!error) return linked;
  // A chroot or a container may have no /proc: then the name that the kernel was given.
  const auto* name = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
  const fs::path started = fs::canonical(name ? name : "", error);
  if (error)
    throw Error(ExitCode::plugin, "/proc/self/exe",
                "cannot be read, and the program's folder is not known otherwise",
                "Mount /proc, or start ropewalk by its full path");
  return started;
}

}  // namespace ropewalk
