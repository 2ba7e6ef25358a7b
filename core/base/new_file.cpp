#include "core/base/new_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "core/base/error.h"

namespace ropewalk {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& file, std::string_view what) {
  throw Error(ExitCode::output, file.string(), what, "What was there before is unchanged");
}

[[noreturn]] void refuse_errno(const std::filesystem::path& file) {
  refuse(file, std::string("could not be written: ") + std::strerror(errno));
}

// The rename itself must survive a power cut. Ignores file systems that cannot sync a folder.
void flush_folder(const std::filesystem::path& folder) {
  const Descriptor fd(
      open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.valid()) fsync(fd.get());
}

}  // namespace

NewFile::NewFile(std::filesystem::path file)
    : file_(std::move(file)), temporary_(file_.string() + ".XXXXXX") {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::symlink_status(file_, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    refuse(file_, "is not a regular file, expected one or none");
  fd_ = Descriptor(mkostemp(temporary_.data(), O_CLOEXEC));
  if (!fd_.valid()) refuse_errno(file_);
}

NewFile::~NewFile() {
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void NewFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(fd_.get(), bytes.data(), bytes.size());
    if (wrote < 0 && errno != EINTR) refuse_errno(file_);
    if (wrote > 0) bytes.remove_prefix(static_cast<size_t>(wrote));
  }
}

void NewFile::commit() {
  if (fsync(fd_.get()) != 0 || std::rename(temporary_.c_str(), file_.c_str()) != 0)
    refuse_errno(file_);
  temporary_.clear();
  flush_folder(file_.parent_path());
}

}  // namespace ropewalk
