// json_events.h — JSON as a stream of events, for documents too large to hold as a tree.
//
// All strictness of this room is here: parse_json() is built on it. Owns nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/json/json_fields.h"

namespace ropewalk {

// The events of a document, in the order of the text. A handler may throw to stop the walk.
class JsonEvents {
 public:
  virtual ~JsonEvents() = default;
  virtual void null() = 0;
  virtual void boolean(bool value) = 0;
  virtual void integer(int64_t value) = 0;            // negative ones only
  virtual void unsigned_integer(uint64_t value) = 0;  // without fraction and exponent
  virtual void number(double value) = 0;              // with either, or too large for the above
  virtual void text(std::string value) = 0;
  virtual void begin_object() = 0;
  virtual void key(std::string name) = 0;
  virtual void end_object() = 0;
  virtual void begin_array() = 0;
  virtual void end_array() = 0;
};

// Throws Error (the source's code) with line and column where `text` is not JSON as in RFC 8259:
// not UTF-8, a byte order mark, a NUL, a duplicate key in one object, more than 64 levels, bytes
// after the value. Takes n log n time in the number of keys, whatever the keys are.
void walk_json(std::string_view text, const JsonSource& source, JsonEvents& events);

}  // namespace ropewalk
