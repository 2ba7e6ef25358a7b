#include "apps/save_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "core/base/error.h"

namespace ropewalk {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& file, std::string_view what) {
  throw Error(ExitCode::output, file.string(), what, "What was there before is unchanged");
}

[[noreturn]] void refuse_errno(const std::filesystem::path& file) {
  refuse(file, std::string("could not be written: ") + std::strerror(errno));
}

// Removed unless it was renamed away.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::filesystem::path& beside)
      : name_(beside.string() + ".XXXXXX"), fd_(mkostemp(name_.data(), O_CLOEXEC)) {
    if (fd_ < 0) refuse_errno(beside);
  }
  ~TemporaryFile() {
    close(fd_);
    if (!renamed_) unlink(name_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  bool write_all(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t wrote = write(fd_, bytes.data(), bytes.size());
      if (wrote < 0 && errno != EINTR) return false;
      if (wrote > 0) bytes.remove_prefix(static_cast<size_t>(wrote));
    }
    return fsync(fd_) == 0;
  }
  bool rename_to(const std::filesystem::path& file) {
    renamed_ = std::rename(name_.c_str(), file.c_str()) == 0;
    return renamed_;
  }

 private:
  std::string name_;
  int fd_;
  bool renamed_ = false;
};

// The rename itself must survive a power cut. Ignores file systems that cannot sync a folder.
void flush_folder(const std::filesystem::path& folder) {
  const int fd = open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

}  // namespace

void save_file(const std::filesystem::path& file, std::string_view bytes) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::symlink_status(file, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    refuse(file, "is not a regular file, expected one or none");
  TemporaryFile temporary(file);
  if (!temporary.write_all(bytes) || !temporary.rename_to(file)) refuse_errno(file);
  flush_folder(file.parent_path());
}

}  // namespace ropewalk
