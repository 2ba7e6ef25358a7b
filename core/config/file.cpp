#include "core/config/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "core/base/descriptor.h"
#include "core/base/error.h"

namespace ropewalk {
namespace {

[[noreturn]] void refuse_file(const std::filesystem::path& file, std::string_view what,
                              std::string_view advice) {
  throw Error(ExitCode::usage, file.string(), what, advice);
}

}  // namespace

std::string read_config_file(const std::filesystem::path& file, Trust trust) {
  // O_NONBLOCK, so that a FIFO without a writer opens at once and can be refused.
  const Descriptor descriptor(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!descriptor.valid())
    refuse_file(file, fmt::format("cannot be opened: {}", std::strerror(errno)),
                "Give the path of a configuration file");
  struct stat status {};
  if (fstat(descriptor.get(), &status) != 0 || !S_ISREG(status.st_mode))
    refuse_file(file,
                fmt::format("is {}, expected a regular file",
                            S_ISDIR(status.st_mode) ? "a folder" : "a device, pipe or socket"),
                "Give the path of a configuration file");
  check_writable_by_others(file, trust);
  std::string text(kMaxConfigBytes + 1, '\0');
  const ssize_t got = read_up_to(descriptor, text);
  if (got < 0) refuse_file(file, fmt::format("cannot be read: {}", std::strerror(errno)), "");
  text.resize(static_cast<size_t>(got));
  if (text.empty()) refuse_file(file, "is empty, expected keys and values", "");
  if (text.size() > kMaxConfigBytes)
    refuse_file(
        file,
        fmt::format("is larger than {} bytes, too large for a configuration", kMaxConfigBytes), "");
  return text;
}

}  // namespace ropewalk
