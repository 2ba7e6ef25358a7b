#include "core/serve/request/fields.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "core/config/nearest.h"
#include "core/json/json.h"
#include "core/serve/api_error.h"

namespace ropewalk::serve {
namespace {

constexpr size_t kMaxMembers = 1000;

}  // namespace

std::string shown(const Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list";
  if (value.is_string()) return "\"" + printable(value.get_ref<const std::string&>(), 64) + "\"";
  return printable(value.dump(), 64);
}

void refuse_type(const std::string& name, const Json& value, std::string_view expected) {
  throw ApiError(400, "invalid_type",
                 fmt::format("{}: found {}, expected {}.", printable(name), shown(value), expected),
                 name);
}

void refuse_value(const std::string& name, std::string_view what) {
  throw ApiError(400, "invalid_value", fmt::format("{}: {}.", printable(name), what), name);
}

std::optional<int64_t> exact_integer(const Json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<uint64_t>();
    if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
    return static_cast<int64_t>(number);
  }
  if (value.is_number_integer()) return value.get<int64_t>();
  if (!value.is_number_float()) return std::nullopt;
  const auto number = value.get<double>();
  // Every double of at most 2^53 is one integer exactly.
  if (!(std::fabs(number) <= 9007199254740992.0) || number != std::floor(number))
    return std::nullopt;
  return static_cast<int64_t>(number);
}

Fields::Fields(const Json& object, std::string path) : object_(object), path_(std::move(path)) {
  const std::string name = path_.empty() ? "the body" : path_.substr(0, path_.size() - 1);
  if (!object.is_object()) refuse_type(name, object, "an object");
  if (object.size() > kMaxMembers)
    refuse_value(name,
                 fmt::format("found {} members, expected at most {}", object.size(), kMaxMembers));
}

Fields::Found Fields::find(Names names) {
  Found found{"", nullptr};
  for (const std::string_view name : names) {
    if (name.empty()) continue;  // of a table's row with fewer names
    asked_.emplace(name);
    if (found.value) continue;
    const auto member = object_.find(name);
    if (member == object_.end() || member->is_null()) continue;
    found = {path_ + std::string(name), &*member};
  }
  return found;
}

std::optional<bool> Fields::boolean(Names names) {
  const auto [name, value] = find(names);
  if (!value) return std::nullopt;
  if (!value->is_boolean()) refuse_type(name, *value, "true or false");
  return value->get<bool>();
}

std::optional<int64_t> Fields::integer(Names names, int64_t low, int64_t high) {
  const auto [name, value] = find(names);
  if (!value) return std::nullopt;
  const std::optional<int64_t> number = exact_integer(*value);
  if (!number) refuse_type(name, *value, fmt::format("an integer from {} to {}", low, high));
  if (*number < low || *number > high)
    refuse_value(name,
                 fmt::format("found {}, expected an integer from {} to {}", *number, low, high));
  return number;
}

std::optional<double> Fields::number(Names names) {
  const auto [name, value] = find(names);
  if (!value) return std::nullopt;
  if (!value->is_number()) refuse_type(name, *value, "a number");
  return value->get<double>();
}

std::optional<std::string> Fields::text(Names names, size_t max_bytes) {
  const auto [name, value] = find(names);
  if (!value) return std::nullopt;
  if (!value->is_string()) refuse_type(name, *value, "a text");
  const auto& text = value->get_ref<const std::string&>();
  if (text.size() > max_bytes)
    refuse_value(name, fmt::format("found {} bytes, expected at most {}", text.size(), max_bytes));
  return text;
}

std::string Fields::meant(std::string_view name) const {
  const std::vector<std::string> known(asked_.begin(), asked_.end());
  return nearest(name, known);
}

std::vector<std::string> Fields::unread() const {
  std::vector<std::string> names;
  for (const auto& [name, value] : object_.items())
    if (!value.is_null() && !asked_.contains(name)) names.push_back(path_ + name);
  return names;
}

}  // namespace ropewalk::serve
