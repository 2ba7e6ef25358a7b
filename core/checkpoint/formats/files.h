// files.h — regular files beneath a model directory, opened without following anybody's links.
//
// A ModelDirectory owns a descriptor of the directory, a File one of its file; both close their
// own. Read-only, so any thread may call; every failure is an Error of exit code model that names
// the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/descriptor.h"

namespace ropewalk {

// A regular file held open. Its size is that of the moment it was opened.
class File {
 public:
  File(Descriptor fd, std::string path);  // throws unless `fd` is a regular file

  const std::string& path() const { return path_; }  // for errors, as the user would write it
  uint64_t size() const { return size_; }

  // Fills `out` from `offset`. Throws where the file has become shorter than it was.
  void read(uint64_t offset, std::span<std::byte> out) const;

  // Whether size or modification time differ from those of the moment it was opened, or the file
  // was replaced or removed (the open descriptor still reads the old one).
  bool changed() const;

 private:
  Descriptor fd_;
  std::string path_;
  uint64_t size_ = 0;
  int64_t modified_ns_ = 0;
};

class ModelDirectory {
 public:
  explicit ModelDirectory(const std::filesystem::path& path);  // throws unless it is a directory

  std::string path_of(std::string_view name) const;  // for errors
  std::vector<std::string> names() const;            // entries, sorted, without "." and ".."
  bool contains(std::string_view name) const;        // an entry of any kind

  // `name` is a plain file name of letters, digits and `._-`; anything else is refused, and so are
  // directories, FIFOs, sockets and devices, without waiting for them. A symbolic link is followed
  // in one case only, the cache of Hugging Face's hub: ROOT/snapshots/REV/NAME -> ../../blobs/BLOB
  // with `blobs` and the blob themselves no links (huggingface_hub, file_download.py).
  File open(std::string_view name) const;

  // The whole of a small file, without a byte-order mark. Throws where it is larger than `limit`
  // bytes.
  std::string read_text(std::string_view name, uint64_t limit) const;

 private:
  Descriptor open_blob(const std::string& name, const std::string& path) const;

  std::string path_;
  Descriptor fd_;
};

// Whether `name` is letters, digits and `._-`, and neither "." nor "..".
bool is_plain_name(std::string_view name);

}  // namespace ropewalk
