#include "core/bpe/byte_map.h"

#include <array>

#include "core/base/utf8.h"

namespace ropewalk {
namespace {

constexpr uint32_t kLast = 0x143;  // U+0100 and 67 more

constexpr bool stands_for_itself(uint32_t byte) {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) ||
         (byte >= 0xae && byte <= 0xff);
}

// By byte, the code point.
constexpr std::array<uint32_t, 256> kPoints = [] {
  std::array<uint32_t, 256> points = {};
  uint32_t next = 0x100;
  for (uint32_t byte = 0; byte < 256; ++byte)
    points[byte] = stands_for_itself(byte) ? byte : next++;
  return points;
}();

// By code point, the byte; -1 for none.
constexpr std::array<int16_t, kLast + 1> kBytes = [] {
  std::array<int16_t, kLast + 1> bytes = {};
  for (int16_t& byte : bytes) byte = -1;
  for (uint32_t byte = 0; byte < 256; ++byte) bytes[kPoints[byte]] = static_cast<int16_t>(byte);
  return bytes;
}();

}  // namespace

std::string byte_character(uint8_t byte) {
  const uint32_t point = kPoints[byte];
  if (point < 0x80) return std::string(1, static_cast<char>(point));
  return {static_cast<char>(0xc0 | point >> 6), static_cast<char>(0x80 | (point & 0x3f))};
}

std::optional<std::string> bytes_of_characters(std::string_view name) {
  std::string bytes;
  while (!name.empty()) {
    const size_t length = utf8_sequence_length(name);
    const uint32_t point = utf8_code_point(name.substr(0, length));
    if (point > kLast || kBytes[point] < 0) return std::nullopt;
    bytes += static_cast<char>(kBytes[point]);
    name.remove_prefix(length);
  }
  return bytes;
}

}  // namespace ropewalk
