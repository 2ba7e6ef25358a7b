// utf8.h — the few questions about UTF-8 that several rooms ask.
#pragma once

#include <cstddef>
#include <string_view>

namespace ropewalk {

// Bytes of the well-formed UTF-8 sequence that `text` begins with, 1 to 4; 0 where it begins with
// none (truncated, overlong, surrogate, above U+10FFFF). Source: Unicode 15, table 3-7.
size_t utf8_sequence_length(std::string_view text);

// Offset of the first byte that is not part of a well-formed sequence; npos where all are.
size_t utf8_first_error(std::string_view text);

}  // namespace ropewalk
