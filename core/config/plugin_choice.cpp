#include "core/config/plugin_choice.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/config/scalars.h"

namespace ropewalk {
namespace {

constexpr size_t kMaxChain = 64;
constexpr size_t kMaxName = 64;

[[noreturn]] void refuse_choice(const Where& where, const std::string& key, std::string_view what,
                                std::string_view advice) {
  throw Error(ExitCode::usage, where.text(), where.said_of(key, what), advice);
}

// Plugin names are looked up as file names, so they must not contain a path's characters.
std::string read_name(const ConfigValue& value, const std::string& key) {
  const std::optional<std::string> name = as_text(value);
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  if (!name || name->empty() || name->size() > kMaxName || name->front() == '.' ||
      !std::ranges::all_of(*name, allowed))
    refuse_choice(value.where, key, mismatch(value, "a plugin's name"),
                  "Names are letters, digits, - and _, or a dot inside");
  return *name;
}

}  // namespace

PluginChoice read_block(const ConfigValue& value, const std::string& key,
                        std::string_view selector) {
  PluginChoice choice{.name = "", .key = key, .where = value.where};
  if (value.kind == ValueKind::scalar) {
    choice.name = read_name(value, key);
    return choice;
  }
  if (value.kind != ValueKind::map)
    refuse_choice(value.where, key,
                  mismatch(value, fmt::format("a name, or a map with {}", selector)), "");
  for (const ConfigEntry& entry : value.entries) {
    if (entry.key != selector) {
      choice.options.push_back(entry);
      continue;
    }
    choice.name = read_name(entry.value, fmt::format("{}.{}", key, selector));
    choice.where = entry.value.where;
  }
  return choice;
}

PluginChoice read_link(const ConfigValue& value, const std::string& key) {
  PluginChoice choice{.name = "", .key = key, .where = value.where};
  if (value.kind == ValueKind::scalar) {
    choice.name = read_name(value, key);
    return choice;
  }
  if (value.kind != ValueKind::map || value.entries.size() != 1)
    refuse_choice(value.where, key,
                  value.kind == ValueKind::map
                      ? fmt::format("found a map of {} keys, expected one name with its options",
                                    value.entries.size())
                      : mismatch(value, "a name, or a map of one name to its options"),
                  "For example `- top-p: 0.9` or `- top-p: {p: 0.9}`");
  const ConfigEntry& entry = value.entries.front();
  ConfigValue name = make_scalar(entry.key, entry.where);
  name.quoted = true;  // no key is mistaken for a number
  choice.name = read_name(name, key);
  choice.where = entry.where;
  if (entry.value.kind == ValueKind::map) {
    choice.options = entry.value.entries;
  } else if (entry.value.kind == ValueKind::null) {
    refuse_choice(entry.value.where, key, "found nothing after the name, expected a value or a map",
                  fmt::format("Write `- {}` to leave its options as they are", choice.name));
  } else {
    choice.main = entry.value;
  }
  return choice;
}

std::vector<PluginChoice> read_chain(const ConfigValue& value, const std::string& key) {
  if (value.kind == ValueKind::map) {  // a map over no list: its samplers in the order written
    ConfigValue list = make_value(ValueKind::list, value.where);
    for (const ConfigEntry& entry : value.entries) {
      list.items.push_back(make_value(ValueKind::map, entry.where));
      list.items.back().entries.push_back(entry);
    }
    return read_chain(list, key);
  }
  if (value.kind != ValueKind::list)
    refuse_choice(value.where, key, mismatch(value, "a list of samplers"),
                  "For example [{temperature: 0.7}, {top-p: 0.9}]");
  if (value.items.size() > kMaxChain)
    refuse_choice(
        value.where, key,
        fmt::format("found {} samplers, expected at most {}", value.items.size(), kMaxChain), "");
  std::vector<PluginChoice> chain;
  for (const ConfigValue& item : value.items)
    chain.push_back(read_link(item, fmt::format("{}[{}]", key, chain.size())));
  return chain;
}

}  // namespace ropewalk
