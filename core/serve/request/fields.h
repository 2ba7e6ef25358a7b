// fields.h — the members of a request's JSON object, read with their types and remembered, so that
// what nobody asked for can be told to the client.
//
// A member that is null counts as absent everywhere. A field may have several names: the first that
// is present wins, and all of them are known. Not thread-safe.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/json/json_fwd.h"

namespace ropewalk::serve {

using Names = std::initializer_list<std::string_view>;

class Fields {
 public:
  // `path` stands in front of names in messages ("messages[2]."). REQUIRES: `object` outlives this.
  // Throws ApiError 400 unless it is an object of at most 1000 members.
  Fields(const Json& object, std::string path);

  struct Found {
    std::string name;   // with the path
    const Json* value;  // nullptr: absent
  };
  Found find(Names names);

  // Each throws ApiError 400: invalid_type for another type, invalid_value out of range. 5.0 is an
  // integer, "5" is none.
  std::optional<bool> boolean(Names names);
  std::optional<int64_t> integer(Names names, int64_t low, int64_t high);
  std::optional<double> number(Names names);  // finite
  std::optional<std::string> text(Names names, size_t max_bytes);

  // Members that were never asked for, in their order.
  std::vector<std::string> unread() const;
  // The known name that `name` may have been meant for; empty where none is near.
  std::string meant(std::string_view name) const;

 private:
  const Json& object_;
  std::string path_;
  std::set<std::string, std::less<>> asked_;
};

// 400 invalid_type: `name: found X, expected Y`.
[[noreturn]] void refuse_type(const std::string& name, const Json& value,
                              std::string_view expected);
[[noreturn]] void refuse_value(const std::string& name, std::string_view what);
// A value as a message repeats it: printable, at most 64 bytes.
std::string shown(const Json& value);

// The exact integer, also where it is written as 5.0; nothing for anything else.
std::optional<int64_t> exact_integer(const Json& value);

}  // namespace ropewalk::serve
