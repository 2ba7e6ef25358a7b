// encoding.h — what is said of text that is not UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace ropewalk {

// "is not UTF-8 at byte 0: it begins as UTF-16 does". REQUIRES: `bad` is utf8_first_error(text).
inline std::string not_utf8(std::string_view text, size_t bad) {
  const bool utf16 = text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff");
  return "is not UTF-8 at byte " + std::to_string(bad) +
         (utf16 ? ": it begins as UTF-16 does" : "");
}

}  // namespace ropewalk
