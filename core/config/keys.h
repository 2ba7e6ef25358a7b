// keys.h — every key that a configuration may have, in one table: from it come the checks, the
// messages, `ropewalk config --dump` and configs/reference.yaml.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/value.h"

namespace ropewalk {

enum class KeyType {
  map,
  path,
  paths,
  text,
  texts,
  integer,
  boolean,
  choice,
  block,   // a plugin's name, or a map with the name under `selector` beside the options
  plugin,  // a plugin's name, or a map of one name to its options
  chain,   // a list of the above
  named,   // a map of the user's names to paths, or to maps with a path
};

struct KeyInfo {
  std::string_view path;  // "context.length"
  KeyType type;
  std::string_view default_text;  // as written in YAML, or a description in <>
  std::string_view help;
  std::string_view selector = "";  // block: the key that holds the name
  std::string_view choices = "";   // choice: words separated by spaces
  uint64_t minimum = 0;            // integer, inclusive
  uint64_t maximum = 0;

  bool has_default() const { return !default_text.empty() && default_text[0] != '<'; }
};

// In reading order; a map stands before its keys.
std::span<const KeyInfo> config_keys();

// REQUIRES: there is such a key.
const KeyInfo& key_info(std::string_view path);

// nullptr where there is none.
const KeyInfo* find_key(std::string_view path);

// Names directly under `path`; "" for the top.
std::vector<std::string> keys_under(std::string_view path);

// What a value must be: "an integer from 1 to 16777216", "one of f16, int8, f32".
std::string expectation(const KeyInfo& key);

// Writes keys as the table does where their meaning is certain: max-new-tokens as max_new_tokens,
// and type or rope_type as rope.policy. Then throws Error(usage) for the first key of `tree` that
// is not in the table, with the one that it means or the nearest. The options of plugins are left
// to the plugins.
void settle_keys(ConfigValue& tree);

// Whether two names of plugins or options are one: top_p and top-p are.
bool same_name(std::string_view a, std::string_view b);

}  // namespace ropewalk
