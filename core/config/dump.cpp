// dump.cpp — the effective configuration as text, with the origin of each value.
#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/config/config.h"
#include "core/config/keys.h"

namespace ropewalk {
namespace {

// Only these need no quotes anywhere in YAML.
bool is_bare(std::string_view text) {
  const auto bare = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '/' || c == '-';
  };
  return !text.empty() && std::ranges::all_of(text, bare) && text != "-" && text != "---" &&
         text != "...";
}

std::string quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string scalar(const ConfigValue& value) {
  return value.quoted || !is_bare(value.text) ? quote(value.text) : value.text;
}

// On one line, whatever the depth.
std::string flow(const ConfigValue& value) {
  std::string out;
  switch (value.kind) {
    case ValueKind::null:
      return "~";
    case ValueKind::scalar:
      return scalar(value);
    case ValueKind::list:
      for (const ConfigValue& item : value.items) out += (out.empty() ? "" : ", ") + flow(item);
      return "[" + out + "]";
    case ValueKind::map:
      for (const ConfigEntry& entry : value.entries)
        out += fmt::format("{}{}: {}", out.empty() ? "" : ", ",
                           is_bare(entry.key) ? entry.key : quote(entry.key), flow(entry.value));
      return "{" + out + "}";
  }
  return out;
}

std::string origin(const Where& where) {
  return printable(where.line == 0 ? where.file : fmt::format("{}:{}", where.file, where.line));
}

size_t depth(std::string_view path) { return static_cast<size_t>(std::ranges::count(path, '.')); }

std::string_view last_name(std::string_view path) { return path.substr(path.rfind('.') + 1); }

const ConfigValue* find_path(const ConfigValue& tree, std::string_view path) {
  const size_t dot = path.find('.');
  const ConfigValue* value = tree.find(path.substr(0, dot));
  return !value || dot == std::string_view::npos ? value : find_path(*value, path.substr(dot + 1));
}

std::string quoted_path(const std::filesystem::path& path) { return quote(path.string()); }

// Paths are written absolute, so that the text means the same wherever it is kept.
std::string value_text(const Config& config, const KeyInfo& key, const ConfigValue& value) {
  if (key.path == "model") return quoted_path(config.model);
  if (key.path == "plugins.paths") {
    std::string out;
    for (const std::filesystem::path& path : config.plugin_paths)
      out += (out.empty() ? "" : ", ") + quoted_path(path);
    return "[" + out + "]";
  }
  return flow(value);
}

std::string dump_key(const Config& config, const KeyInfo& key) {
  const std::string indent(2 * depth(key.path), ' ');
  const std::string_view name = last_name(key.path);
  if (key.type == KeyType::map) return fmt::format("{}{}:\n", indent, name);
  const ConfigValue* value = find_path(config.tree, key.path);
  if (!value && !key.has_default())
    return fmt::format("{}# {}: {}  # default\n", indent, name, key.default_text);
  if (!value) return fmt::format("{}{}: {}  # default\n", indent, name, key.default_text);
  if (key.type != KeyType::chain || value->items.empty())
    return fmt::format("{}{}: {}  # {}\n", indent, name, value_text(config, key, *value),
                       origin(value->where));
  std::string out = fmt::format("{}{}:\n", indent, name);
  for (const ConfigValue& item : value->items)
    out += fmt::format("{}  - {}  # {}\n", indent, flow(item), origin(item.where));
  return out;
}

// A map of which nothing is set would read as nothing at all.
bool has_content(const Config& config, const KeyInfo& map) {
  return std::ranges::any_of(config_keys(), [&](const KeyInfo& key) {
    return key.path.starts_with(map.path) && key.path.size() > map.path.size() &&
           key.path[map.path.size()] == '.' &&
           (key.has_default() || find_path(config.tree, key.path));
  });
}

}  // namespace

std::string dump_config(const Config& config) {
  std::string out;
  for (const KeyInfo& key : config_keys()) {
    const bool inside_block =
        depth(key.path) == 1 &&
        key_info(key.path.substr(0, key.path.find('.'))).type == KeyType::block;
    if (key.path == "extends" || inside_block) continue;
    std::string text = dump_key(config, key);
    if (key.type == KeyType::map && !has_content(config, key))
      text = fmt::format("# {}:\n", key.path);
    out += text;
  }
  return out;
}

std::string describe_keys() {
  std::string out;
  for (const KeyInfo& key : config_keys()) {
    const std::string indent(2 * depth(key.path), ' ');
    out += fmt::format("{}# {}; {}\n", indent, key.help, expectation(key));
    out += fmt::format("{}{}: {}\n", indent, last_name(key.path), key.default_text);
  }
  return out;
}

}  // namespace ropewalk
