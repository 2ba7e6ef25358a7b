#include "apps/input.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <limits>
#include <span>

#include "apps/signals.h"
#include "core/base/descriptor.h"
#include "core/base/encoding.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/utf8.h"

namespace ropewalk {
namespace {

[[noreturn]] void refuse_file(const std::string& file) {
  throw Error(ExitCode::usage, input_name(file),
              std::string("could not be read: ") + std::strerror(errno), "Check the path");
}

// Bytes read into `into`, 0 at the end.
size_t read_some(int fd, std::span<char> into, const std::string& file) {
  while (true) {
    const ssize_t count = read(fd, into.data(), into.size());
    if (count >= 0) return static_cast<size_t>(count);
    if (errno != EINTR) refuse_file(file);
    throw_if_stopped();
  }
}

std::string read_all(int fd, const std::string& file) {
  std::string text;
  std::array<char, 1 << 16> buffer;
  while (const size_t count = read_some(fd, buffer, file)) {
    text.append(buffer.data(), count);
    if (text.size() > kMaxInputBytes)
      throw Error(ExitCode::limit, input_name(file),
                  fmt::format("found more than {} MiB, expected less", kMaxInputBytes >> 20), "");
  }
  return text;
}

}  // namespace

std::string input_name(const std::string& file) { return file == "-" ? "standard input" : file; }

std::string read_input(const std::string& file) {
  const Descriptor input(file == "-" ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                                     : open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!input.valid()) refuse_file(file);
  return read_all(input.get(), file);
}

namespace {

void skip_mark(std::string& text, std::string_view where) {
  if (!text.starts_with(kByteOrderMark)) return;
  text.erase(0, kByteOrderMark.size());
  note(fmt::format("{}: the byte-order mark at its beginning is skipped", where));
}

}  // namespace

std::string read_text(const std::string& file) {
  return clean_text(read_input(file), input_name(file));
}

std::string clean_text(std::string text, std::string_view where) {
  const size_t bad = utf8_first_error(text), nul = text.find('\0');
  const std::string_view advice =
      where.starts_with('-') ? "Use a UTF-8 locale, or --prompt-file" : "Save the file as UTF-8";
  if (bad != std::string::npos) throw Error(ExitCode::usage, where, not_utf8(text, bad), advice);
  if (nul != std::string::npos)
    throw Error(ExitCode::usage, where, fmt::format("has a NUL at byte {}, expected text", nul),
                advice);
  skip_mark(text, where);
  if (text.find("\r\n") == std::string::npos) return text;
  note(fmt::format("{}: its lines end in CR LF, which is read as LF", where));
  std::string lines;
  for (size_t i = 0; i < text.size(); ++i)
    if (text[i] != '\r' || i + 1 == text.size() || text[i + 1] != '\n') lines += text[i];
  return lines;
}

std::string read_saved(const std::string& name) {
  const std::string file = name == "-" ? "./-" : name;
  const Descriptor input(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!input.valid() || fstat(input.get(), &status) != 0) refuse_file(file);
  if (!S_ISREG(status.st_mode))
    throw Error(ExitCode::usage, file, "is not a regular file", "Check the path");
  return read_all(input.get(), file);
}

std::vector<int32_t> read_ids(const std::string& file) {
  return parse_ids(read_text(file), input_name(file));
}

std::vector<int32_t> parse_ids(std::string_view text, std::string_view file) {
  std::vector<int32_t> ids;
  size_t line = 1, line_start = 0, i = 0;
  constexpr std::string_view kSpace = " \t\r\n";
  while (i < text.size()) {
    if (kSpace.find(text[i]) != std::string_view::npos) {
      if (text[i++] == '\n') {
        ++line;
        line_start = i;
      }
      continue;
    }
    const std::string_view word = text.substr(i, text.find_first_of(kSpace, i) - i);
    int32_t id = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (error != std::errc{} || end != word.data() + word.size() || id < 0 || word[0] == '-') {
      throw Error(ExitCode::usage, fmt::format("{}:{}:{}", file, line, i - line_start + 1),
                  fmt::format("found {}, expected a token id from 0 to {}", printable(word),
                              std::numeric_limits<int32_t>::max()),
                  "Write decimal ids with white space between them");
    }
    ids.push_back(id);
    i += word.size();
  }
  return ids;
}

bool LineReader::next(std::string& line) {
  while (true) {
    const size_t end = buffer_.find('\n');
    if (end != std::string::npos || (ended_ && !buffer_.empty())) {
      line = buffer_.substr(0, end);
      buffer_.erase(0, end == std::string::npos ? end : end + 1);
      if (line.ends_with('\r')) line.pop_back();
      if (!begun_) skip_mark(line, input_name("-"));
      begun_ = true;
      return true;
    }
    if (ended_) return false;
    if (buffer_.size() > kMaxLine)
      throw Error(ExitCode::limit, "standard input",
                  fmt::format("found a line of more than {} bytes", kMaxLine), "");
    std::array<char, 1 << 12> chunk;
    const size_t count = read_some(STDIN_FILENO, chunk, "-");
    buffer_.append(chunk.data(), count);
    ended_ = count == 0;
  }
}

}  // namespace ropewalk
