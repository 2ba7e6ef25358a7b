// utf8.h — the few questions about UTF-8 that several rooms ask.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ropewalk {

// Bytes of the well-formed UTF-8 sequence that `text` begins with, 1 to 4; 0 where it begins with
// none (truncated, overlong, surrogate, above U+10FFFF). Source: Unicode 15, table 3-7.
size_t utf8_sequence_length(std::string_view text);

// Offset of the first byte that is not part of a well-formed sequence; npos where all are.
size_t utf8_first_error(std::string_view text);

// The code point of a sequence. REQUIRES: `sequence` is exactly one, well-formed.
uint32_t utf8_code_point(std::string_view sequence);

// Bytes of the white space character that `text` begins with; 0: none. Source: Unicode's property
// White_Space, 25 characters since version 6.3.
size_t utf8_white_space_length(std::string_view text);

}  // namespace ropewalk
