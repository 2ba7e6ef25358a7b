#include "core/config/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace ropewalk {

std::string Where::text() const {
  return line == 0 ? file : fmt::format("{}:{}:{}", file, line, column);
}

const ConfigValue* ConfigValue::find(std::string_view key) const {
  const auto entry =
      std::ranges::find_if(entries, [&](const ConfigEntry& e) { return e.key == key; });
  return entry == entries.end() ? nullptr : &entry->value;
}

ConfigValue* ConfigValue::find(std::string_view key) {
  return const_cast<ConfigValue*>(std::as_const(*this).find(key));
}

ConfigValue make_scalar(std::string text, Where where) {
  return {.kind = ValueKind::scalar, .where = std::move(where), .text = std::move(text)};
}

ConfigValue make_list(std::vector<std::string> items, const Where& where) {
  ConfigValue list{.kind = ValueKind::list, .where = where};
  for (std::string& item : items) list.items.push_back(make_scalar(std::move(item), where));
  return list;
}

}  // namespace ropewalk
