// stand_ins.h — characters of Unicode 15 and 16 for a PCRE2 that knows Unicode 14 (Debian 12's).
//
// Each is replaced by one of the same general category and length, so that classes match as they do
// in tokenizers 0.22, and offsets stay. U+180E, which PCRE2 alone takes for white space, is among
// them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ropewalk {

enum class StandIns {
  none,
  spaces,  // of U+180E only
  all,
};

// Whether `text` has characters that are replaced. REQUIRES: `text` is UTF-8, here and below.
bool needs_stand_ins(std::string_view text, StandIns which);
std::string with_stand_ins(std::string_view text, StandIns which);

// Whether a character in [first, last] is replaced or replaces another.
bool concerns_stand_ins(uint32_t first, uint32_t last);

}  // namespace ropewalk
