// byte_map.h — the characters that stand for bytes in a byte-level vocabulary.
//
//   bytes 21..7E, A1..AC, AE..FF   themselves, as U+0021..U+00FF
//   the other 68, in order         U+0100, U+0101, ...
//
// Source: openai/gpt-2 src/encoder.py bytes_to_unicode(); tokenizers byte_level.rs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ropewalk {

std::string byte_character(uint8_t byte);  // UTF-8

// The bytes that the characters of `name` stand for; nullopt where one stands for none.
// REQUIRES: `name` is UTF-8.
std::optional<std::string> bytes_of_characters(std::string_view name);

}  // namespace ropewalk
