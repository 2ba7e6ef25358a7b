#include "core/text/stream.h"

#include "core/base/utf8.h"

namespace ropewalk {
namespace {

constexpr std::string_view kReplacementText = "\xef\xbf\xbd";  // U+FFFD

// Whether more bytes can make a character of `bytes`. The continuation bytes that a lead byte
// allows include 80 or bf, whatever its restriction.
bool may_become_character(std::string_view bytes) {
  if (bytes.size() > 3) return false;
  for (const char filler : {'\x80', '\xbf'}) {
    std::string filled(bytes);
    filled.resize(4, filler);
    if (utf8_sequence_length(filled) > bytes.size()) return true;
  }
  return false;
}

}  // namespace

std::string Utf8Assembler::push(std::string_view bytes) {
  pending_ += bytes;
  std::string_view rest = pending_;
  std::string text;
  while (!rest.empty()) {
    const size_t length = utf8_sequence_length(rest);
    if (length == 0 && may_become_character(rest)) break;
    text += length == 0 ? kReplacementText : rest.substr(0, length);
    rest.remove_prefix(length == 0 ? 1 : length);
  }
  pending_ = std::string(rest);
  return text;
}

std::string Utf8Assembler::finish() {
  std::string text;
  for (size_t i = 0; i < pending_.size(); ++i) text += kReplacementText;
  pending_.clear();
  return text;
}

TextStream::TextStream(std::vector<std::string> stops, LeadingSpace leading_space)
    : stops_(std::move(stops)), strip_(leading_space == LeadingSpace::strip) {}

std::string TextStream::push(const TokenText& token) {
  if (token.bytes.empty()) return "";
  const uint32_t stripped = strip_ ? token.spaced : 0;
  strip_ = false;
  return filter(characters_.push(token.bytes.substr(stripped)));
}

std::string TextStream::finish() {
  std::string text = filter(characters_.finish());
  if (stops_.match()) return text;
  return text + release(released_ + held_.size());
}

std::optional<std::string_view> TextStream::stopped_by() const {
  if (!stops_.match()) return std::nullopt;
  return stops_.stop(stops_.match()->stop);
}

std::string TextStream::filter(std::string_view characters) {
  for (const char byte : characters) {
    if (stops_.match()) break;
    held_ += byte;
    stops_.push(byte);
  }
  return release(stops_.safe());
}

// The text up to offset `end`, which is no longer held.
std::string TextStream::release(uint64_t end) {
  std::string text = held_.substr(0, end - released_);
  held_.erase(0, end - released_);
  released_ = end;
  return text;
}

}  // namespace ropewalk
