// value.h — a piece of configuration as it was written: text, shape and place.
//
// yaml-cpp's own tree forgets duplicate keys and follows aliases, so the configuration is read into
// this one instead (yaml.h). Plain values, copied freely, no threads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk {

// Where a value was written. Values from the command line and defaults have no line.
struct Where {
  std::string file;     // a path, "--set context.length", "default"
  uint32_t line = 0;    // from 1; 0: none
  uint32_t column = 0;  // from 1, in bytes

  std::string text() const;  // "configs/mini.yaml:3:11"
  // "context.length: WHAT"; WHAT alone where this place names the key: "--set context.length".
  std::string said_of(std::string_view key, std::string_view what) const;
};

enum class ValueKind { null, scalar, list, map };

struct ConfigEntry;

struct ConfigValue {
  ValueKind kind = ValueKind::null;
  Where where = {};
  std::string text = {};                // scalar: as written, without its quotes
  bool quoted = false;                  // scalar: "42" is text where 42 is a number
  std::vector<ConfigValue> items = {};  // list
  // Map, in the order written, keys unique. No initializer: ConfigEntry is incomplete here.
  std::vector<ConfigEntry> entries;

  // The value under `key` of a map; nullptr where there is none or this is no map.
  const ConfigValue* find(std::string_view key) const;
  ConfigValue* find(std::string_view key);
};

struct ConfigEntry {
  std::string key;
  Where where;  // of the key
  ConfigValue value;
};

ConfigValue make_value(ValueKind kind, Where where);

// For values that other rooms make, such as RoPE options read from config.json. The text is as
// written in YAML without quotes: "2.0", "true".
ConfigValue make_scalar(std::string text, Where where);
ConfigValue make_list(std::vector<std::string> items, const Where& where);

}  // namespace ropewalk
