#include "core/sentencepiece/protobuf.h"

#include <fmt/format.h>

#include <bit>

#include "core/base/error.h"

namespace ropewalk {
namespace {

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7f) | 0x80);
  out += static_cast<char>(value);
}

void put_tag(std::string& out, uint32_t number, Wire wire) {
  put_varint(out, uint64_t{number} << 3 | static_cast<uint32_t>(wire));
}

uint64_t little_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

}  // namespace

bool WireReader::next(WireField& field) {
  if (rest_.empty()) return false;
  const uint64_t tag = varint();
  const uint64_t number = tag >> 3;
  if (number == 0 || number > 0x1fffffff)
    fail(fmt::format("found field number {}, expected 1 to {}", number, 0x1fffffff));
  field = {.number = static_cast<uint32_t>(number), .wire = static_cast<Wire>(tag & 7)};
  switch (field.wire) {
    case Wire::varint:
      field.value = varint();
      return true;
    case Wire::fixed64:
      field.value = little_endian(take(8));
      return true;
    case Wire::fixed32:
      field.value = little_endian(take(4));
      return true;
    case Wire::bytes:
      field.bytes = take(varint());
      return true;
  }
  fail(fmt::format("field {} has wire type {}, expected 0, 1, 2 or 5 (groups are not supported)",
                   number, tag & 7));
}

uint64_t WireReader::varint() {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    const uint64_t byte = little_endian(take(1));
    if (shift == 63 && byte > 1) break;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  fail("found a varint of more than 64 bits");
}

std::string_view WireReader::take(uint64_t count) {
  if (count > rest_.size())
    fail(fmt::format("the message ends early, found {} bytes, expected {}", rest_.size(), count));
  const std::string_view taken = rest_.substr(0, count);
  rest_.remove_prefix(count);
  return taken;
}

void WireReader::fail(std::string_view what) const {
  throw Error(ExitCode::model, where_, what,
              "The file is damaged or incomplete: download it again");
}

void put_varint_field(std::string& out, uint32_t number, uint64_t value) {
  put_tag(out, number, Wire::varint);
  put_varint(out, value);
}

void put_float_field(std::string& out, uint32_t number, float value) {
  put_tag(out, number, Wire::fixed32);
  const auto bits = std::bit_cast<uint32_t>(value);
  for (unsigned shift = 0; shift < 32; shift += 8) out += static_cast<char>(bits >> shift & 0xff);
}

void put_bytes_field(std::string& out, uint32_t number, std::string_view bytes) {
  put_tag(out, number, Wire::bytes);
  put_varint(out, bytes.size());
  out += bytes;
}

}  // namespace ropewalk
