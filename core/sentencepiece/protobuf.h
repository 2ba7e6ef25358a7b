// protobuf.h — the protobuf wire format, as far as tokenizer.model needs it: a bounded walk over
// the fields of one message, and the few writers that put a checked model back into bytes.
//
// Nothing is allocated and nothing is read past the given bytes. Source: protobuf.dev,
// "Encoding"; the group wire types, which proto2 deprecated, are refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ropewalk {

enum class Wire : uint32_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

struct WireField {
  uint32_t number = 0;
  Wire wire = Wire::varint;
  uint64_t value = 0;           // of varint, fixed64 and fixed32
  std::string_view bytes = {};  // of bytes: a view into the message
};

class WireReader {
 public:
  // `where` is the file and, for a nested message, its field ("tokenizer.model: pieces[3]").
  // REQUIRES: `bytes` and `where` outlive this.
  WireReader(std::string_view bytes, const std::string& where) : rest_(bytes), where_(where) {}

  // The next field, false at the end of the message. Throws Error (model): a varint longer than 10
  // bytes, a length beyond the message, a group or unknown wire type, field number 0.
  bool next(WireField& field);

 private:
  uint64_t varint();
  std::string_view take(uint64_t count);
  [[noreturn]] void fail(std::string_view what) const;

  std::string_view rest_;
  const std::string& where_;
};

void put_varint_field(std::string& out, uint32_t number, uint64_t value);
void put_float_field(std::string& out, uint32_t number, float value);
void put_bytes_field(std::string& out, uint32_t number, std::string_view bytes);

}  // namespace ropewalk
