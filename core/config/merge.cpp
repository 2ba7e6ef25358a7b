#include "core/config/merge.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "core/base/error.h"
#include "core/config/file.h"
#include "core/config/keys.h"
#include "core/config/scalars.h"
#include "core/config/yaml.h"

namespace ropewalk {
namespace {

std::string join_path(const std::string& path, const std::string& key) {
  return path.empty() ? key : path + "." + key;
}

// `backend: cuda` as `backend: {name: cuda}`, so that there is a map to add a device to.
void widen_block(ConfigValue& value, const std::string& path) {
  const KeyInfo* key = find_key(path);
  if (value.kind != ValueKind::scalar || !key || key->type != KeyType::block) return;
  ConfigValue map = make_value(ValueKind::map, value.where);
  map.entries.push_back({std::string(key->selector), value.where, std::move(value)});
  value = std::move(map);
}

// Options of one plugin are not passed on to another.
bool names_plugin(const ConfigValue& value, const std::string& path) {
  const KeyInfo* key = find_key(path);
  if (!key) return false;
  return key->type == KeyType::plugin || (key->type == KeyType::block && value.find(key->selector));
}

bool is_link(const ConfigValue& item, const std::string& name) {
  if (item.kind == ValueKind::scalar) return same_name(item.text, name);
  return std::ranges::any_of(item.entries,
                             [&](const ConfigEntry& e) { return same_name(e.key, name); });
}

void merge_into(ConfigValue& base, ConfigValue over, const std::string& path);

// A map over a list of samplers changes the samplers that it names in place and appends new ones.
void tune_chain(ConfigValue& chain, const ConfigValue& over, const std::string& path) {
  for (const ConfigEntry& entry : over.entries) {
    ConfigValue link = make_value(ValueKind::map, entry.where);
    link.entries.push_back(entry);
    const auto present = std::ranges::find_if(
        chain.items, [&](const ConfigValue& item) { return is_link(item, entry.key); });
    if (present == chain.items.end()) {
      chain.items.push_back(std::move(link));
    } else if (present->kind == ValueKind::map) {
      present->where = entry.where;
      link.entries.front().key = present->entries.front().key;  // top_p may stand for top-p
      merge_into(*present, std::move(link), path + "[]");
    } else {
      *present = std::move(link);
    }
  }
}

void merge_into(ConfigValue& base, ConfigValue over, const std::string& path) {
  const KeyInfo* key = find_key(path);
  if (key && key->type == KeyType::chain && base.kind == ValueKind::list &&
      over.kind == ValueKind::map)
    return tune_chain(base, over, path);
  if (over.kind == ValueKind::map) widen_block(base, path);
  if (base.kind != ValueKind::map || over.kind != ValueKind::map || names_plugin(over, path)) {
    base = std::move(over);
    return;
  }
  for (ConfigEntry& entry : over.entries) {
    if (ConfigValue* present = base.find(entry.key)) {
      merge_into(*present, std::move(entry.value), join_path(path, entry.key));
    } else {
      base.entries.push_back(std::move(entry));
    }
  }
}

ConfigValue read_extends_chain(std::string_view text, const std::filesystem::path& file,
                               Trust trust, std::vector<std::filesystem::path>& chain) {
  ConfigValue tree = parse_yaml(text, file.string());
  settle_keys(tree);
  const auto entry =
      std::ranges::find_if(tree.entries, [](const ConfigEntry& e) { return e.key == "extends"; });
  if (entry == tree.entries.end()) return tree;

  const ConfigValue extends = std::move(entry->value);
  tree.entries.erase(entry);
  const auto refuse = [&](std::string_view what, std::string_view advice) {
    throw Error(ExitCode::usage, extends.where.text(), fmt::format("extends: {}", what), advice);
  };
  const std::optional<std::string> name = as_text(extends);
  if (!name) refuse(mismatch(extends, "a path"), "");
  const std::filesystem::path base_file = (file.parent_path() / *name).lexically_normal();
  std::error_code none;
  const std::filesystem::path identity = std::filesystem::weakly_canonical(base_file, none);
  if (std::ranges::find(chain, identity) != chain.end())
    refuse(fmt::format("{} extends itself", printable(base_file.string())), "Remove one extends");
  if (chain.size() >= kMaxBases)
    refuse(fmt::format("found a chain of more than {} files", kMaxBases), "Remove one extends");
  chain.push_back(identity);

  const auto text_of_base = [&] {
    try {
      return read_config_file(base_file, trust);
    } catch (const Error& error) {  // the base, and also the line that names it
      std::string found = error.what();
      if (found.ends_with('.')) found.pop_back();
      refuse(found, "");
      throw;
    }
  };
  ConfigValue base = read_extends_chain(text_of_base(), base_file, trust, chain);
  return merge(std::move(base), std::move(tree));
}

void set_origin(ConfigValue& value, const Where& where) {
  value.where = where;
  for (ConfigValue& item : value.items) set_origin(item, where);
  for (ConfigEntry& entry : value.entries) {
    entry.where = where;
    set_origin(entry.value, where);
  }
}

// {context: {length: value}} for "context.length".
ConfigValue nest(std::string_view path, ConfigValue value) {
  const size_t dot = path.rfind('.');
  const std::string_view key = dot == std::string_view::npos ? path : path.substr(dot + 1);
  ConfigValue map = make_value(ValueKind::map, value.where);
  map.entries.push_back({std::string(key), value.where, std::move(value)});
  return dot == std::string_view::npos ? map : nest(path.substr(0, dot), std::move(map));
}

}  // namespace

ConfigValue merge(ConfigValue base, ConfigValue over) {
  merge_into(base, std::move(over), "");
  return base;
}

ConfigValue read_with_bases(std::string_view text, const ConfigSource& source) {
  std::error_code none;
  std::vector<std::filesystem::path> chain = {std::filesystem::weakly_canonical(source.file, none)};
  return read_extends_chain(text, source.file, source.trust, chain);
}

void apply_overrides(ConfigValue& tree, std::span<const std::string> overrides) {
  for (const std::string& override : overrides) {
    const size_t equals = override.find('=');
    if (equals == std::string::npos || equals == 0)
      throw Error(ExitCode::usage, fmt::format("--set {}", printable(override)),
                  "expected key.path=value", "For example --set context.length=4096");
    const std::string path = override.substr(0, equals);
    const Where where{fmt::format("--set {}", printable(path))};
    if (std::ranges::count(path, '.') >= static_cast<std::ptrdiff_t>(kMaxConfigDepth))
      throw Error(ExitCode::usage, where.file, "is nested too deeply", "");
    const std::string text = override.substr(equals + 1);
    // An empty document is an error, but an empty value is null.
    ConfigValue value = text.find_first_not_of(" \t") == std::string::npos
                            ? ConfigValue{}
                            : parse_yaml(text, where.file);
    set_origin(value, where);
    ConfigValue layer = nest(path, std::move(value));
    settle_keys(layer);
    if (layer.find("extends"))
      throw Error(ExitCode::usage, where.file, "extends stands in files only",
                  "Give the other file instead");
    tree = merge(std::move(tree), std::move(layer));
  }
}

}  // namespace ropewalk
