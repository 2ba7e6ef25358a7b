#include "core/engine/resolved_config.h"

#include <fmt/format.h>

#include <filesystem>
#include <functional>
#include <string_view>
#include <utility>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/engine/engine.h"
#include "core/engine/rope_choice.h"
#include "core/model/families.h"

namespace ropewalk {
namespace {

// Puts `value` under the path "a.b", in the place of what is there.
void set(ConfigValue& tree, std::string_view path, ConfigValue value) {
  const size_t dot = path.find('.');
  const std::string_view name = path.substr(0, dot);
  if (tree.kind != ValueKind::map) tree = make_value(ValueKind::map, value.where);
  if (!tree.find(name)) tree.entries.push_back({std::string(name), value.where, {}});
  ConfigValue& found = *tree.find(name);
  if (dot == std::string_view::npos)
    found = std::move(value);
  else
    set(found, path.substr(dot + 1), std::move(value));
}

// A lone name, or a map of `selector` and the options where there are any.
ConfigValue block(const PluginChoice& choice, const std::string& selector) {
  ConfigValue name = make_scalar(choice.name, choice.where);
  if (choice.options.empty()) return name;
  ConfigValue map = make_value(ValueKind::map, choice.where);
  map.entries.push_back({selector, choice.where, std::move(name)});
  map.entries.insert(map.entries.end(), choice.options.begin(), choice.options.end());
  return map;
}

// A lone name, or a map of it to the options where there are any.
ConfigValue link(const PluginChoice& choice, const Where& where) {
  if (choice.options.empty()) return make_scalar(choice.name, where);
  ConfigValue options = make_value(ValueKind::map, where), map = options;
  options.entries = choice.options;
  map.entries.push_back({choice.name, where, std::move(options)});
  return map;
}

void add_model(Config& config) {
  const ModelConfig model = read_model_config(config.model, config_families());
  const Where file{.file = "config.json"};
  const uint32_t length = config.context.length.value_or(model.trained_length);
  if (!config.context.length)
    set(config.tree, "context.length", make_scalar(std::to_string(length), file));
  const RopeChoice rope = choose_rope(config, model, length);
  if (rope.from_model) set(config.tree, "rope", block(rope.plugin, "policy"));
}

void add_text(Config& config) {
  Registry registry = make_registry(config);
  const TextSide text(registry, config);
  const Tokenizer& tokenizer = text.tokenizer();
  const Where file{.file = std::string(tokenizer.file())};
  const bool json = file.file == "tokenizer.json";
  if (config.tokenizer.source == TokenizerFile::automatic)
    set(config.tree, "tokenizer.source", make_scalar(json ? "json" : "sentencepiece", file));
  if (!config.tokenizer.legacy && !json)
    set(config.tree, "tokenizer.legacy", make_scalar(tokenizer.legacy() ? "true" : "false", file));
  const FormatChoice& format = text.format_choice();
  tell_of_format(format);
  if (format.source != FormatSource::configuration)
    set(config.tree, "prompt.format", link(format.plugin, {.file = reason_of(format)}));
  if (config.prompt.system || text.system().empty()) return;
  ConfigValue system = make_scalar(text.system(), {.file = format.plugin.name + "'s own"});
  system.quoted = true;
  set(config.tree, "prompt.system", std::move(system));
}

void try_to(const std::function<void()>& add) {
  try {
    add();
  } catch (const Error& error) {
    std::string said = error.what();
    if (said.ends_with('.')) said.pop_back();
    note(fmt::format("{}; the keys that it decides are shown as they are written", said));
  }
}

}  // namespace

Config resolved_config(const Config& config) {
  Config resolved = config;
  std::error_code error;
  if (!std::filesystem::is_directory(config.model, error)) return resolved;
  try_to([&] { add_model(resolved); });
  try_to([&] { add_text(resolved); });
  return resolved;
}

}  // namespace ropewalk
