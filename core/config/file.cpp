#include "core/config/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/error.h"

namespace ropewalk {
namespace {

class FileDescriptor {
 public:
  // O_NONBLOCK, so that a FIFO without a writer opens at once and can be refused.
  explicit FileDescriptor(const std::filesystem::path& file)
      : fd_(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

[[noreturn]] void refuse_file(const std::filesystem::path& file, std::string_view what,
                              std::string_view advice) {
  throw Error(ExitCode::usage, file.string(), what, advice);
}

std::string read_all(const FileDescriptor& descriptor, const std::filesystem::path& file) {
  std::string text(kMaxConfigBytes + 1, '\0');
  size_t have = 0;
  while (have < text.size()) {
    const ssize_t got = read(descriptor.get(), text.data() + have, text.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) refuse_file(file, fmt::format("cannot be read: {}", std::strerror(errno)), "");
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  text.resize(have);
  return text;
}

}  // namespace

std::string read_config_file(const std::filesystem::path& file, Trust trust) {
  const FileDescriptor descriptor(file);
  if (descriptor.get() < 0)
    refuse_file(file, fmt::format("cannot be opened: {}", std::strerror(errno)),
                "Give the path of a configuration file");
  struct stat status {};
  if (fstat(descriptor.get(), &status) != 0 || !S_ISREG(status.st_mode))
    refuse_file(file,
                fmt::format("is {}, expected a regular file",
                            S_ISDIR(status.st_mode) ? "a folder" : "a device, pipe or socket"),
                "Give the path of a configuration file");
  check_writable_by_others(file, trust);
  std::string text = read_all(descriptor, file);
  if (text.empty()) refuse_file(file, "is empty, expected keys and values", "");
  if (text.size() > kMaxConfigBytes)
    refuse_file(
        file,
        fmt::format("is larger than {} bytes, too large for a configuration", kMaxConfigBytes), "");
  return text;
}

}  // namespace ropewalk
