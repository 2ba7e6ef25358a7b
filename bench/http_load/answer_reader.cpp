#include "bench/http_load/answer_reader.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>

namespace ropewalk::bench {
namespace {

std::optional<uint64_t> number(std::string_view text, int base) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

// The value of a header of `head`, in lower case; empty where there is none.
std::string_view header(std::string_view head, std::string_view name) {
  const std::string key = "\r\n" + std::string(name) + ": ";
  const size_t at = head.find(key);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = head.substr(at + key.size());
  return rest.substr(0, rest.find('\r'));
}

}  // namespace

void AnswerReader::reset() { *this = {}; }

AnswerReader::State AnswerReader::end() {
  const bool whole = state_ == State::body && framing_ == Framing::until_close;
  return state_ = whole || state_ == State::done ? State::done : State::broken;
}

bool AnswerReader::read_head() {
  const size_t end = buffer_.find("\r\n\r\n");
  if (end == std::string::npos) return false;
  std::string head = buffer_.substr(0, end + 2);
  buffer_.erase(0, end + 4);
  std::transform(head.begin(), head.end(), head.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  status_ = static_cast<int>(
      number(std::string_view(head).substr(std::min<size_t>(9, head.size())), 10).value_or(0));
  if (!head.starts_with("http/1.1 ") || status_ == 0) {
    state_ = State::broken;
    return false;
  }
  if (status_ == 100) return read_head();
  closes_ = header(head, "connection") == "close";
  const std::optional<uint64_t> length = number(header(head, "content-length"), 10);
  if (header(head, "transfer-encoding") == "chunked") {
    framing_ = Framing::chunked;
  } else if (length) {
    framing_ = Framing::length;
    left_ = *length;
  }
  state_ = State::body;
  return true;
}

AnswerReader::State AnswerReader::read(std::string_view bytes) {
  buffer_ += bytes;
  if (state_ == State::head && !read_head()) return state_;
  while (state_ == State::body) {
    if (framing_ == Framing::chunked && !in_chunk_) {
      const size_t end = buffer_.find("\r\n");
      if (end == std::string::npos) return state_;
      const std::optional<uint64_t> size = number(buffer_, 16);
      if (!size) return state_ = State::broken;
      buffer_.erase(0, end + 2);
      left_ = *size + 2;  // with the line end behind its data
      in_chunk_ = true;
      last_chunk_ = *size == 0;
    }
    const uint64_t line_end = framing_ == Framing::chunked ? 2 : 0;
    const uint64_t data = left_ - std::min(left_, line_end);
    const uint64_t take = framing_ == Framing::until_close
                              ? buffer_.size()
                              : std::min<uint64_t>(data, buffer_.size());
    take_body(std::string_view(buffer_).substr(0, take));
    buffer_.erase(0, take);
    if (framing_ == Framing::until_close) return state_;
    left_ -= take;
    if (left_ > line_end || buffer_.size() < left_) return state_;
    buffer_.erase(0, left_);
    left_ = 0;
    in_chunk_ = false;
    if (framing_ == Framing::length || last_chunk_) state_ = State::done;
  }
  if (state_ == State::done && !buffer_.empty()) state_ = State::broken;
  return state_;
}

void AnswerReader::take_body(std::string_view bytes) {
  body_bytes_ += bytes.size();
  for (size_t end = 0; (end = bytes.find('\n')) != std::string_view::npos;) {
    line_ += bytes.substr(0, end);
    take_line(line_);
    line_.clear();
    bytes.remove_prefix(end + 1);
  }
  line_ += bytes;
}

void AnswerReader::take_line(std::string_view line) {
  if (!line.starts_with("data:")) return;
  if (line == "data: [DONE]") {
    said_done_ = true;
  } else {
    ++events_;
  }
}

}  // namespace ropewalk::bench
