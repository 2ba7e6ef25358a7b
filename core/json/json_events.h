// json_events.h — JSON as a stream of events, for documents too large to hold as a tree.
//
// The strictness of the whole room lives here: parse_json() is built on it. Nothing is owned.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/json/json.h"

namespace ropewalk {

// What a reader of a stream sees, in the order of the text. Any event may throw to stop the walk.
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

// Throws Error (the source's code) with the byte offset where `text` is not JSON as RFC 8259 has
// it: not UTF-8, a byte order mark, a NUL, a duplicate key in one object, more than 64 levels,
// bytes after the value. Time is n log n in the number of keys whatever they are.
void walk_json(std::string_view text, const JsonSource& source, JsonEvents& events);

}  // namespace ropewalk
