#include "core/checkpoint/formats/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "core/base/encoding.h"
#include "core/base/git_lfs.h"
#include "core/checkpoint/refuse.h"

namespace ropewalk {
namespace {

// O_NONBLOCK: a FIFO must not hold the program until someone writes. O_NOCTTY: a terminal must not
// become ours.
constexpr int kFileFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

[[noreturn]] void cannot_open(const std::string& path, int error) {
  if (error == ENOENT) refuse(path, "does not exist", "Check the path of the model");
  refuse(path, fmt::format("cannot be opened: {}", std::strerror(error)),
         error == EMFILE ? "Raise the limit of open files (ulimit -n)"
                         : "Check the path and its permissions");
}

std::string_view kind_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return "a directory";
    case S_IFIFO:
      return "a FIFO";
    case S_IFSOCK:
      return "a socket";
    case S_IFCHR:
    case S_IFBLK:
      return "a device";
    case S_IFLNK:
      return "a symbolic link";
    default:
      return "of an unknown kind";
  }
}

struct stat status_of(int fd, const std::string& path) {
  struct stat status {};
  if (fstat(fd, &status) != 0) cannot_open(path, errno);
  return status;
}

int64_t modified_ns(const struct stat& status) {
  return int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

std::string link_target(int directory, const std::string& name) {
  char target[512];
  const ssize_t length = readlinkat(directory, name.c_str(), target, sizeof target);
  return length > 0 ? std::string(target, static_cast<size_t>(length)) : std::string();
}

}  // namespace

File::File(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {
  const struct stat status = status_of(fd_.get(), path_);
  if (!S_ISREG(status.st_mode))
    refuse(path_, fmt::format("is {}, expected a regular file", kind_of(status.st_mode)), "");
  size_ = static_cast<uint64_t>(status.st_size);
  modified_ns_ = modified_ns(status);
}

void File::read(uint64_t offset, std::span<std::byte> out) const {
  // One call transfers at most about 2 GiB; a signal may cut it anywhere.
  constexpr size_t kMostPerCall = size_t{1} << 30;
  while (!out.empty()) {
    const ssize_t got = pread(fd_.get(), out.data(), std::min(out.size(), kMostPerCall),
                              static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      refuse(path_, fmt::format("cannot be read at byte {}: {}", offset, std::strerror(errno)),
             "Check the disk that holds it");
    if (got == 0)
      refuse(path_,
             fmt::format("ends before byte {}, it had {} when it was opened", offset + 1, size_),
             "Something truncated the file while it was in use: download it again");
    out = out.subspan(static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
  }
}

bool File::changed() const {
  const struct stat status = status_of(fd_.get(), path_);
  return static_cast<uint64_t>(status.st_size) != size_ || modified_ns(status) != modified_ns_ ||
         status.st_nlink == 0;
}

ModelDirectory::ModelDirectory(const std::filesystem::path& path)
    : path_(path.string()), fd_(::open(path.c_str(), kDirectoryFlags)) {
  if (!fd_.valid() && errno == ENOTDIR)
    refuse(path_, "is not a directory, expected a model directory",
           "Give the directory that holds config.json");
  if (!fd_.valid()) cannot_open(path_, errno);
}

std::string ModelDirectory::path_of(std::string_view name) const {
  return (std::filesystem::path(path_) / name).string();
}

std::vector<std::string> ModelDirectory::names() const {
  // A descriptor of its own: reading a directory moves the position that copies would share.
  const int copy = openat(fd_.get(), ".", kDirectoryFlags);
  if (copy < 0) cannot_open(path_, errno);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(copy), closedir);
  std::vector<std::string> names;
  while (const dirent* entry = readdir(stream.get())) names.emplace_back(entry->d_name);
  std::erase_if(names, [](const std::string& name) { return name == "." || name == ".."; });
  std::sort(names.begin(), names.end());
  return names;
}

bool ModelDirectory::contains(std::string_view name) const {
  struct stat status {};
  return fstatat(fd_.get(), std::string(name).c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
}

File ModelDirectory::open(std::string_view name) const {
  const std::string path = path_of(name);
  if (!is_plain_name(name))
    refuse(path_,
           fmt::format("names the file \"{}\", expected letters, digits and ._- only",
                       printable(name)),
           "A model's files must lie in its own directory: rename a file that does");
  const std::string plain(name);
  Descriptor fd(openat(fd_.get(), plain.c_str(), kFileFlags));
  if (!fd.valid() && errno == ELOOP) fd = open_blob(plain, path);
  if (!fd.valid() && errno == ENXIO)
    refuse(path, "is a socket or a device, expected a regular file", "");
  if (!fd.valid()) cannot_open(path, errno);
  File file(std::move(fd), path);
  std::string begin(std::min<uint64_t>(file.size(), kLfsPointerBegin.size()), '\0');
  file.read(0, std::as_writable_bytes(std::span(begin)));
  if (is_lfs_pointer(begin)) refuse(path, kLfsPointer, kLfsAdvice);
  return file;
}

Descriptor ModelDirectory::open_blob(const std::string& name, const std::string& path) const {
  const std::string target = link_target(fd_.get(), name);
  constexpr std::string_view kBlobs = "../../blobs/";
  const auto refuse_link = [&] {
    refuse(path,
           fmt::format("is a symbolic link to \"{}\", which may lead out of the model",
                       printable(target)),
           "Put the file itself into the model's directory");
  };
  if (!target.starts_with(kBlobs) || !is_plain_name(target.substr(kBlobs.size()))) refuse_link();

  // The directory's parent must be ROOT/snapshots, told by identity rather than by name.
  const Descriptor parent(openat(fd_.get(), "..", kDirectoryFlags));
  const Descriptor root(openat(fd_.get(), "../..", kDirectoryFlags));
  const Descriptor snapshots(openat(root.get(), "snapshots", kDirectoryFlags | O_NOFOLLOW));
  const Descriptor blobs(openat(root.get(), "blobs", kDirectoryFlags | O_NOFOLLOW));
  if (!parent.valid() || !snapshots.valid() || !blobs.valid()) refuse_link();
  const struct stat above = status_of(parent.get(), path);
  const struct stat expected = status_of(snapshots.get(), path);
  if (above.st_dev != expected.st_dev || above.st_ino != expected.st_ino) refuse_link();

  Descriptor blob(openat(blobs.get(), target.c_str() + kBlobs.size(), kFileFlags));
  if (!blob.valid() && errno == ELOOP) refuse_link();
  return blob;
}

std::string ModelDirectory::read_text(std::string_view name, uint64_t limit) const {
  const File file = open(name);
  if (file.size() > limit)
    refuse(file.path(), fmt::format("has {} bytes, expected at most {}", file.size(), limit), "");
  std::string text(file.size(), '\0');
  file.read(0, std::as_writable_bytes(std::span(text)));
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());  // Notepad's
  return text;
}

bool is_plain_name(std::string_view name) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
         std::all_of(name.begin(), name.end(), plain);
}

}  // namespace ropewalk
