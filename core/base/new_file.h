// new_file.h — replaces a file atomically: a crash, a full disk or a signal leaves the old file or
// the new one.
//
// Writes a temporary file beside the old one, which commit() flushes to the disk and renames.
// Readable by the owner only, because conversations are private. Not thread-safe.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "core/base/descriptor.h"

namespace ropewalk {

class NewFile {
 public:
  // Every function throws Error(output): not writable, no space, or something else than a regular
  // file is there; what was there stays as it was.
  explicit NewFile(std::filesystem::path file);
  ~NewFile();  // without commit() nothing has changed
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  void write(std::string_view bytes);
  // REQUIRES: called once, and nothing is written afterwards.
  void commit();

 private:
  const std::filesystem::path file_;
  std::string temporary_;
  Descriptor fd_;
};

}  // namespace ropewalk
