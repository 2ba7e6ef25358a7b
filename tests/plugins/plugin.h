// plugin.h — for tests: a built plugin, loaded and given its options as the engine does it.
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "core/json/json.h"
#include "core/modules/library.h"

namespace ropewalk::test {

// YAML's text of an option's value, or of the items of a list.
using TestOptions = std::map<std::string, Json>;

inline ConfigValue config_scalar(const Json& value) {
  ConfigValue scalar =
      make_scalar(value.is_string() ? value.get<std::string>() : value.dump(), {"test"});
  scalar.quoted = value.is_string();
  return scalar;
}

inline ConfigValue config_value(const Json& value) {
  if (!value.is_array()) return config_scalar(value);
  ConfigValue list = make_value(ValueKind::list, {"test"});
  for (const Json& item : value) list.items.push_back(config_scalar(item));
  return list;
}

inline Library load_plugin(abi::ModuleKind kind, const std::string& name) {
  return Library(std::filesystem::path(RW_MODULE_DIR) / kind_folder(kind) / (name + ".so"));
}

// `host` may be nullptr, as in a probe.
template <class Interface>
Owned<Interface> make_plugin_for(const abi::Host* host, const std::string& name,
                                 const TestOptions& options) {
  const Where where{"test"};
  PluginChoice choice{.name = name, .key = "test", .where = where};
  for (const auto& [key, value] : options) {
    ConfigValue given = config_value(value);
    choice.options.push_back({key, where, std::move(given)});
  }
  return load_plugin(Interface::kKind, name).template create<Interface>(choice, host);
}

template <class Interface>
Owned<Interface> make_plugin(const std::string& name, const TestOptions& options) {
  return make_plugin_for<Interface>(nullptr, name, options);
}

inline Json read_fixture(const std::string& name) {
  const std::string file = std::string(RW_FIXTURES) + "/" + name;
  std::ifstream stream(file);
  std::stringstream text;
  text << stream.rdbuf();
  return parse_json(text.str(), {file, ExitCode::model});
}

}  // namespace ropewalk::test
