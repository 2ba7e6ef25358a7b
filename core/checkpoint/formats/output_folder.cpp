#include "core/checkpoint/formats/output_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>

#include "core/base/error.h"

namespace ropewalk {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxPerCall = size_t{1} << 30;  // bytes; the kernel takes less than 2^31

[[noreturn]] void cannot_write(const std::string& path, int error) {
  throw Error(ExitCode::output, path, fmt::format("cannot be written: {}", std::strerror(error)),
              error == ENOSPC ? "Make room on the disk, or choose another directory"
                              : "Check the path and its permissions");
}

[[noreturn]] void taken(const fs::path& path, const std::string& what) {
  throw Error(ExitCode::usage, path.string(), what,
              "Remove it or choose another directory: nothing is overwritten");
}

}  // namespace

OutputFile::OutputFile(const fs::path& file, uint64_t bytes, Existing existing)
    : path_(file.string()),
      fd_(::open(
          file.c_str(),
          O_RDWR | O_CREAT | (existing == Existing::keep ? 0 : O_EXCL) | O_NOFOLLOW | O_CLOEXEC,
          0666)) {
  if (!fd_.valid() && errno == EEXIST) taken(file, "exists already: another run writes there");
  if (!fd_.valid()) fail(errno);
  if (bytes == 0) return;
  const int error = posix_fallocate(fd_.get(), 0, static_cast<off_t>(bytes));
  if (error == 0) return;
  if (existing == Existing::refuse) unlink(path_.c_str());
  fail(error);
}

void OutputFile::write_at(uint64_t offset, std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t wrote = pwrite(fd_.get(), bytes.data(), std::min(bytes.size(), kMaxPerCall),
                                 static_cast<off_t>(offset));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) fail(errno);
    bytes = bytes.subspan(static_cast<size_t>(wrote));
    offset += static_cast<uint64_t>(wrote);
  }
}

void OutputFile::read_at(uint64_t offset, std::span<std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t got = pread(fd_.get(), bytes.data(), std::min(bytes.size(), kMaxPerCall),
                              static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) fail(got < 0 ? errno : EIO);
    bytes = bytes.subspan(static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
  }
}

void OutputFile::flush() const {
  if (fsync(fd_.get()) != 0) fail(errno);
}

void OutputFile::fail(int error) const { cannot_write(path_, error); }

OutputFolder::OutputFolder(fs::path path, Existing existing)
    : path_(std::move(path)), existing_(existing) {
  std::error_code error;
  made_ = fs::create_directories(path_, error);
  if (!fs::is_directory(path_)) {
    if (fs::exists(fs::symlink_status(path_))) taken(path_, "exists and is not a directory");
    cannot_write(path_.string(), error.value());
  }
  if (existing_ == Existing::keep) return;
  const fs::directory_iterator first(path_, error);
  if (error) cannot_write(path_.string(), error.value());
  if (first != fs::directory_iterator())
    taken(path_, fmt::format("is not empty, found {} in it",
                             printable(first->path().filename().string())));
}

OutputFolder::~OutputFolder() {
  if (existing_ == Existing::keep) return;
  std::error_code ignored;
  for (const Part& part : parts_) fs::remove(partial(part), ignored);
  if (made_ && !committed_) fs::remove(path_, ignored);
}

OutputFile& OutputFolder::add(const std::string& name, uint64_t bytes) {
  Part part{name, nullptr};
  std::error_code none;
  if (existing_ == Existing::keep) fs::rename(path_ / name, partial(part), none);
  part.file = std::make_unique<OutputFile>(partial(part), bytes, existing_);
  parts_.push_back(std::move(part));
  return *parts_.back().file;
}

void OutputFolder::add_text(const std::string& name, std::string_view text) {
  add(name, text.size()).write_at(0, std::as_bytes(std::span(text)));
}

void OutputFolder::commit() {
  for (const Part& part : parts_) part.file->flush();
  while (!parts_.empty()) {
    const Part& part = parts_.front();
    if (std::rename(partial(part).c_str(), (path_ / part.name).c_str()) != 0)
      cannot_write((path_ / part.name).string(), errno);
    parts_.erase(parts_.begin());
  }
  committed_ = true;
  // The renames must survive a power cut. A file system that cannot do this has done its best.
  const Descriptor folder(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.valid()) fsync(folder.get());
}

}  // namespace ropewalk
