// input.h — reads the user's input: texts, token ids and messages, from files or standard input.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk {

inline constexpr size_t kMaxInputBytes = size_t{64} << 20;

// As messages name it: "-" is standard input.
std::string input_name(const std::string& file);

// The bytes of `file` as they are; "-" is standard input. Throws Error(usage): missing, a folder,
// unreadable; limit where it is larger than kMaxInputBytes.
std::string read_input(const std::string& file);

// The same as text. Throws Error(usage) with the place of the first byte that is not UTF-8, or is
// NUL. A byte-order mark is skipped and CR LF read as LF, each with a note.
std::string read_text(const std::string& file);
std::string clean_text(std::string text, std::string_view where);

// The bytes of a regular file that a program wrote: never standard input or a pipe. Throws as
// read_input() does.
std::string read_saved(const std::string& file);

// Whitespace-separated decimal ids. Throws Error(usage) with file, line and column.
std::vector<int32_t> read_ids(const std::string& file);
std::vector<int32_t> parse_ids(std::string_view text, std::string_view file);

// One line at a time from standard input, without its line end, and the first without a byte-order
// mark. Never waits for more than a line.
class LineReader {
 public:
  // False at the end of the input. Throws Error(limit) for a line longer than `kMaxLine` bytes.
  bool next(std::string& line);

 private:
  static constexpr size_t kMaxLine = size_t{1} << 20;

  std::string buffer_;
  bool begun_ = false, ended_ = false;
};

}  // namespace ropewalk
