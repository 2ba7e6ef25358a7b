// json_fields.h — typed fields of a JSON object, and where a document came from. Their errors name
// the file and the field.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/json/json_fwd.h"

namespace ropewalk {

// Where a document came from, which exit code its errors carry, and what to do about it.
struct JsonSource {
  std::string file;
  ExitCode code;
  std::string_view advice = "Restore the file from where it came from, or correct it";
};

// One object of a document with its path, for errors such as
// `config.json: rope_scaling.factor: found "2", expected a number`.
class JsonFields {
 public:
  // REQUIRES: `object` and `source` outlive this. Throws Error unless `object` is a JSON object.
  JsonFields(const Json& object, const JsonSource& source, std::string path);

  bool has(std::string_view key) const;  // present and not null
  JsonFields child(std::string_view key) const;
  // An object of a list. REQUIRES: `key` is a list with an element `index`.
  JsonFields item(std::string_view key, size_t index) const;

  // Each throws Error when the field is present with another type or out of range, and, without a
  // fallback, when it is absent. Integers are exact: 4096.0 is taken, 4096.5 and "4096" are not.
  uint64_t unsigned_integer(std::string_view key, uint64_t low, uint64_t high) const;
  double number(std::string_view key) const;  // finite
  bool boolean(std::string_view key) const;
  std::string text(std::string_view key) const;
  std::vector<double> numbers(std::string_view key) const;

  // "FILE: PATH.KEY", as errors begin.
  std::string where(std::string_view key) const;
  [[noreturn]] void fail(std::string_view key, std::string_view what,
                         std::string_view advice) const;
  const Json& json() const { return object_; }

 private:
  const Json* find(std::string_view key) const;  // nullptr: absent or null
  const Json& required(std::string_view key, std::string_view expected) const;
  [[noreturn]] void wrong(std::string_view key, const Json& value, std::string_view expected) const;

  const Json& object_;
  const JsonSource& source_;
  std::string path_;
};

}  // namespace ropewalk
