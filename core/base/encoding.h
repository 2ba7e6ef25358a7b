// encoding.h — what is said of text that is not UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace ropewalk {

inline constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

inline bool begins_as_utf16(std::string_view text) {
  return text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff");
}

// "is not UTF-8 at byte 0: it begins as UTF-16 does". REQUIRES: `bad` is utf8_first_error(text).
inline std::string not_utf8(std::string_view text, size_t bad) {
  return "is not UTF-8 at byte " + std::to_string(bad) +
         (begins_as_utf16(text) ? ": it begins as UTF-16 does" : "");
}

}  // namespace ropewalk
