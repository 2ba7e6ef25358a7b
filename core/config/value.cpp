#include "core/config/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace ropewalk {

std::string Where::text() const {
  return line == 0 ? file : fmt::format("{}:{}:{}", file, line, column);
}

std::string Where::said_of(std::string_view key, std::string_view what) const {
  const bool named = line == 0 && file == fmt::format("--set {}", key);
  return named ? std::string(what) : fmt::format("{}: {}", key, what);
}

const ConfigValue* ConfigValue::find(std::string_view key) const {
  const auto entry =
      std::ranges::find_if(entries, [&](const ConfigEntry& e) { return e.key == key; });
  return entry == entries.end() ? nullptr : &entry->value;
}

ConfigValue* ConfigValue::find(std::string_view key) {
  return const_cast<ConfigValue*>(std::as_const(*this).find(key));
}

ConfigValue make_value(ValueKind kind, Where where) {
  ConfigValue value;
  value.kind = kind;
  value.where = std::move(where);
  return value;
}

ConfigValue make_scalar(std::string text, Where where) {
  ConfigValue value = make_value(ValueKind::scalar, std::move(where));
  value.text = std::move(text);
  return value;
}

ConfigValue make_list(std::vector<std::string> items, const Where& where) {
  ConfigValue list = make_value(ValueKind::list, where);
  for (std::string& item : items) list.items.push_back(make_scalar(std::move(item), where));
  return list;
}

}  // namespace ropewalk
