// text_in_place.h — a text where a binary file should be: what a server said in place of the file.
#pragma once

#include <algorithm>
#include <string_view>

namespace ropewalk {

inline constexpr std::string_view kPageInPlace =
    "It is perhaps what a server answered in place of the file: look into it, and download it "
    "again";

// Whether the first eight bytes are printable ASCII, as in "Entry not found" and "<!DOCTYPE html>".
inline bool begins_as_text(std::string_view bytes) {
  const std::string_view begin = bytes.substr(0, 8);
  return begin.size() == 8 &&
         std::ranges::all_of(begin, [](char c) { return c >= 0x20 && c < 0x7f; });
}

}  // namespace ropewalk
