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

std::string field(const ConfigEntry& entry);

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
        out += (out.empty() ? "" : ", ") + field(entry);
      return "{" + out + "}";
  }
  return out;
}

std::string field(const ConfigEntry& entry) {
  return (is_bare(entry.key) ? entry.key : quote(entry.key)) + ": " + flow(entry.value);
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

std::string quoted_paths(std::span<const std::filesystem::path> paths) {
  std::string out;
  for (const std::filesystem::path& path : paths)
    out += (out.empty() ? "" : ", ") + quoted_path(path);
  return "[" + out + "]";
}

// Paths are written absolute, so that the text means the same wherever it is kept.
std::string value_text(const Config& config, const KeyInfo& key, const ConfigValue& value) {
  if (key.path == "model") return quoted_path(config.model);
  if (key.path == "serve.keys.file") return quoted_path(config.serve.keys_file);
  if (key.path == "serve.log.prompts") return quoted_path(config.serve.prompt_log);
  if (key.path == "plugins.paths") return quoted_paths(config.plugin_paths);
  if (key.path == "serve.presets") {
    std::vector<std::filesystem::path> files;
    for (const SamplingPreset& preset : config.serve.presets) files.push_back(preset.file);
    return quoted_paths(files);
  }
  if (key.path == "adapters") {
    std::string out;
    for (const AdapterChoice& adapter : config.adapters)
      out += fmt::format("{}{}: {{path: {}, scale: {}{}}}", out.empty() ? "" : ", ", adapter.name,
                         quoted_path(adapter.path), adapter.scale,
                         adapter.base.empty() ? "" : ", base: " + quoted_path(adapter.base));
    return "{" + out + "}";
  }
  return flow(value);
}

std::string line(size_t level, std::string_view text, std::string_view comment) {
  return fmt::format("{}{}  # {}\n", std::string(2 * level, ' '), text, comment);
}

// `temperature: 0.7` rather than {temperature: 0.7}.
std::string link(const ConfigValue& item) {
  const std::string text = flow(item);
  return item.kind == ValueKind::map && item.entries.size() == 1 ? text.substr(1, text.size() - 2)
                                                                 : text;
}

// One line for each value that may have an origin of its own.
std::string dump_value(const Config& config, const KeyInfo& key, const ConfigValue& value) {
  const size_t level = depth(key.path);
  const std::string name(last_name(key.path));
  const std::string opening = fmt::format("{}{}:\n", std::string(2 * level, ' '), name);
  std::string out;
  if (key.type == KeyType::chain)
    for (const ConfigValue& item : value.items)
      out += line(level + 1, "- " + link(item), origin(item.where));
  if (key.type == KeyType::block)
    for (const ConfigEntry& entry : value.entries)
      out += line(level + 1, field(entry), origin(entry.value.where));
  if (!out.empty()) return opening + out;
  return line(level, name + ": " + value_text(config, key, value), origin(value.where));
}

std::string dump_key(const Config& config, const KeyInfo& key) {
  const size_t level = depth(key.path);
  const std::string_view name = last_name(key.path);
  if (key.type == KeyType::map) return fmt::format("{}{}:\n", std::string(2 * level, ' '), name);
  if (const ConfigValue* value = find_path(config.tree, key.path))
    return dump_value(config, key, *value);
  return line(level, fmt::format("{}{}: {}", key.has_default() ? "" : "# ", name, key.default_text),
              "default");
}

// A map without any key set would read back as null.
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
    const KeyInfo& top = key_info(key.path.substr(0, key.path.find('.')));
    const bool inside_block = top.type == KeyType::block && &top != &key;
    if (key.path == "extends" || inside_block) continue;
    const bool empty_map = key.type == KeyType::map && !has_content(config, key);
    const std::string text = dump_key(config, key);
    const size_t indent = text.find_first_not_of(' ');
    out += empty_map ? text.substr(0, indent) + "# " + text.substr(indent) : text;
  }
  return out;
}

std::string describe_keys() {
  std::string out;
  for (const KeyInfo& key : config_keys()) {
    const std::string indent(2 * depth(key.path), ' ');
    const std::string_view name = last_name(key.path);
    out += fmt::format("{}# {}\n", indent, key.help);
    if (key.type == KeyType::map) {
      out += fmt::format("{}{}{}:\n", indent, has_content(Config{}, key) ? "" : "# ", name);
      continue;
    }
    out += fmt::format("{}#   {}\n", indent, expectation(key));
    out +=
        fmt::format("{}{}{}: {}\n", indent, key.has_default() ? "" : "# ", name, key.default_text);
  }
  return out;
}

}  // namespace ropewalk
