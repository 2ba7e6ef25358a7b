// trim.h — what Python's str.strip() and Jinja's trim take away: the white space of Unicode.
#pragma once

#include <string_view>

namespace ropewalk::formats {

inline constexpr std::string_view kSpaces[] = {
    " ",      "\t",     "\n",     "\v",     "\f",     "\r",     "\x1c",   "\x1d",
    "\x1e",   "\x1f",   "\u0085", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002",
    "\u2003", "\u2004", "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200a",
    "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};

// str.lstrip()
inline std::string_view trimmed_left(std::string_view text) {
  for (bool cut = true; cut;) {
    cut = false;
    for (const std::string_view space : kSpaces)
      if (text.starts_with(space)) text.remove_prefix(space.size()), cut = true;
  }
  return text;
}

// str.rstrip()
inline std::string_view trimmed_right(std::string_view text) {
  for (bool cut = true; cut;) {
    cut = false;
    for (const std::string_view space : kSpaces)
      if (text.ends_with(space)) text.remove_suffix(space.size()), cut = true;
  }
  return text;
}

// str.strip()
inline std::string_view trimmed(std::string_view text) { return trimmed_left(trimmed_right(text)); }

}  // namespace ropewalk::formats
