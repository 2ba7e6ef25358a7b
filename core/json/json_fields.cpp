#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <utility>

#include "core/json/json.h"

namespace ropewalk {
namespace {

// Doubles hold every integer up to here exactly, so 4096.0 is taken for an integer.
constexpr double kExactLimit = 9007199254740992.0;  // 2^53

std::optional<uint64_t> exact_unsigned(const Json& value) {
  if (value.is_number_unsigned()) return value.get<uint64_t>();
  if (value.is_number_integer() && value.get<int64_t>() >= 0) return value.get<uint64_t>();
  if (!value.is_number_float()) return std::nullopt;
  const double number = value.get<double>();
  if (!(number >= 0 && number <= kExactLimit) || number != std::floor(number)) return std::nullopt;
  return static_cast<uint64_t>(number);
}

std::string found(const Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list";
  return printable(value.dump(), 60);
}

}  // namespace

JsonFields::JsonFields(const Json& object, const JsonSource& source, std::string path)
    : object_(object), source_(source), path_(std::move(path)) {
  if (object_.is_object()) return;
  const std::string where = path_.empty() ? source_.file : source_.file + ": " + path_;
  throw Error(source_.code, where, fmt::format("found {}, expected an object", found(object_)), "");
}

const Json* JsonFields::find(std::string_view key) const {
  for (const auto& [name, value] : object_.get_ref<const Json::object_t&>())
    if (name == key) return value.is_null() ? nullptr : &value;
  return nullptr;
}

std::string JsonFields::where(std::string_view key) const {
  const std::string_view dot = path_.empty() || key.empty() ? "" : ".";
  return fmt::format("{}: {}{}{}", source_.file, path_, dot, printable(key));
}

void JsonFields::fail(std::string_view key, std::string_view what, std::string_view advice) const {
  throw Error(source_.code, where(key), what, advice);
}

bool JsonFields::has(std::string_view key) const { return find(key) != nullptr; }

const Json& JsonFields::required(std::string_view key, std::string_view expected) const {
  if (const Json* value = find(key)) return *value;
  fail(key, fmt::format("is missing, expected {}", expected), "");
}

void JsonFields::wrong(std::string_view key, const Json& value, std::string_view expected) const {
  fail(key, fmt::format("found {}, expected {}", found(value), expected), "");
}

JsonFields JsonFields::child(std::string_view key) const {
  const std::string path = path_.empty() ? std::string(key) : path_ + "." + std::string(key);
  return JsonFields(required(key, "an object"), source_, path);
}

JsonFields JsonFields::item(std::string_view key, size_t index) const {
  const std::string_view dot = path_.empty() ? "" : ".";
  return JsonFields((*find(key))[index], source_,
                    fmt::format("{}{}{}[{}]", path_, dot, key, index));
}

uint64_t JsonFields::unsigned_integer(std::string_view key, uint64_t low, uint64_t high) const {
  const std::string expected = fmt::format("an integer from {} to {}", low, high);
  const Json& value = required(key, expected);
  const std::optional<uint64_t> number = exact_unsigned(value);
  if (!number || *number < low || *number > high) wrong(key, value, expected);
  return *number;
}

double JsonFields::number(std::string_view key) const {
  const Json& value = required(key, "a number");
  if (!value.is_number() || !std::isfinite(value.get<double>())) wrong(key, value, "a number");
  return value.get<double>();
}

bool JsonFields::boolean(std::string_view key) const {
  const Json& value = required(key, "true or false");
  if (!value.is_boolean()) wrong(key, value, "true or false");
  return value.get<bool>();
}

std::string JsonFields::text(std::string_view key) const {
  const Json& value = required(key, "a text");
  if (!value.is_string()) wrong(key, value, "a text");
  return value.get<std::string>();
}

std::vector<double> JsonFields::numbers(std::string_view key) const {
  const Json& list = required(key, "a list of numbers");
  if (!list.is_array()) wrong(key, list, "a list of numbers");
  std::vector<double> values;
  for (const Json& value : list) {
    if (!value.is_number()) wrong(key, value, "a list of numbers");
    values.push_back(value.get<double>());
  }
  return values;
}

}  // namespace ropewalk
