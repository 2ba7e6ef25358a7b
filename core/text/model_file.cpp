#include "core/text/model_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "core/base/descriptor.h"
#include "core/base/error.h"
#include "core/base/git_lfs.h"

namespace ropewalk {

std::optional<std::string> read_model_file(const std::filesystem::path& file, size_t limit) {
  const auto refuse = [&](std::string_view what) {
    throw Error(ExitCode::model, file.string(), what, "Check the model directory");
  };
  // Non-blocking, so that a FIFO without a writer can be refused rather than waited for.
  const Descriptor descriptor(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!descriptor.valid() && errno == ENOENT) return std::nullopt;
  if (!descriptor.valid()) refuse(fmt::format("cannot be opened: {}", std::strerror(errno)));
  struct stat status {};
  if (fstat(descriptor.get(), &status) != 0 || !S_ISREG(status.st_mode))
    refuse("not a regular file, expected one");
  const auto size = static_cast<size_t>(status.st_size);
  if (size > limit) refuse(fmt::format("found {} bytes, expected at most {}", size, limit));
  std::string bytes(size, '\0');
  const ssize_t got = read_up_to(descriptor, bytes);
  if (got < 0) refuse(fmt::format("cannot be read: {}", std::strerror(errno)));
  if (static_cast<size_t>(got) < size)
    refuse(fmt::format("ends after {} bytes, expected {}", got, size));
  if (is_lfs_pointer(bytes)) throw Error(ExitCode::model, file.string(), kLfsPointer, kLfsAdvice);
  return bytes;
}

}  // namespace ropewalk
