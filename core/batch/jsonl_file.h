// jsonl_file.h — a file of lines, read one at a time, however large it is. Not thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

namespace ropewalk::batch {

class JsonlFile {
 public:
  // Throws Error(usage) where the file cannot be read or is not a regular one.
  explicit JsonlFile(std::filesystem::path file);

  // The next line that is not blank, without its end. Returns false at the end of the file. Throws
  // Error: limit for a line of more than 1 GiB, usage where the file cannot be read.
  bool next(std::string& line);

  // That line's number from 1, FILE:LINE, its first byte's offset in the file, and whether the file
  // ended before the line did.
  uint64_t number() const { return number_; }
  std::string where() const;
  uint64_t offset() const { return begin_; }
  bool is_cut() const { return cut_; }

 private:
  bool next_of_any_kind(std::string& line);
  bool refill();

  const std::filesystem::path file_;
  std::ifstream in_;
  std::string buffer_;
  size_t at_ = 0;                 // in buffer_
  uint64_t begin_ = 0, end_ = 0;  // of the line, in the file
  uint64_t number_ = 0;           // of the line, from 1
  bool cut_ = false;
};

}  // namespace ropewalk::batch
