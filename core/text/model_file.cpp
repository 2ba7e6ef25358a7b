#include "core/text/model_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/error.h"
#include "core/base/git_lfs.h"

namespace ropewalk {
namespace {

struct Descriptor {
  int fd;
  ~Descriptor() { close(fd); }
};

}  // namespace

std::optional<std::string> read_model_file(const std::filesystem::path& file, size_t limit) {
  const auto refuse = [&](std::string_view what) {
    throw Error(ExitCode::model, file.string(), what, "Check the model directory");
  };
  // Non-blocking, so that a FIFO without a writer can be refused rather than waited for.
  const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 && errno == ENOENT) return std::nullopt;
  if (fd < 0) refuse(fmt::format("cannot be opened: {}", std::strerror(errno)));
  const Descriptor owner{fd};
  struct stat status {};
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
    refuse("not a regular file, expected one");
  const auto size = static_cast<size_t>(status.st_size);
  if (size > limit) refuse(fmt::format("found {} bytes, expected at most {}", size, limit));
  std::string bytes(size, '\0');
  size_t have = 0;
  while (have < size) {
    const ssize_t got = read(fd, bytes.data() + have, size - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) refuse(fmt::format("cannot be read: {}", std::strerror(errno)));
    if (got == 0) refuse(fmt::format("ends after {} bytes, expected {}", have, size));
    have += static_cast<size_t>(got);
  }
  if (is_lfs_pointer(bytes)) throw Error(ExitCode::model, file.string(), kLfsPointer, kLfsAdvice);
  return bytes;
}

}  // namespace ropewalk
