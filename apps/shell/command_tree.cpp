#include "apps/shell/command_tree.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <string_view>

#include "core/config/keys.h"

namespace ropewalk {
namespace {

CommandOption describe_option(const CLI::Option& option) {
  CommandOption out;
  for (const std::string& name : option.get_snames()) out.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) out.names.push_back("--" + name);
  out.place = option.get_name(true);
  if (option.get_items_expected_max() > 0) out.value = option.get_type_name();
  out.help = option.get_description();
  out.default_value = option.get_default_str();
  out.required = option.get_required();
  return out;
}

// Those of option groups, which have no name, are the command's own.
void add_options_of(const CLI::App& app, CommandNode& node) {
  for (const CLI::Option* option : app.get_options())
    node.options.push_back(describe_option(*option));
  for (const CLI::App* group :
       app.get_subcommands([](const CLI::App* sub) { return sub->get_name().empty(); }))
    add_options_of(*group, node);
}

CommandNode describe(const CLI::App& app, std::string path) {
  CommandNode node{
      .path = std::move(path), .help = app.get_description(), .options = {}, .commands = {}};
  add_options_of(app, node);
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    if (!command->get_name().empty())
      node.commands.push_back(describe(*command, node.path + " " + command->get_name()));
  return node;
}

}  // namespace

std::vector<std::string> CommandOption::words() const {
  std::vector<std::string> words;
  if (std::ranges::find(names, "--set") != names.end()) {
    for (const KeyInfo& key : config_keys())
      if (key.type != KeyType::map) words.push_back(std::string(key.path) + "=");
    return words;
  }
  for (size_t at = 0; at <= value.size();) {
    const size_t end = std::min(value.find('|', at), value.size());
    const std::string part = value.substr(at, end - at);
    if (!part.empty() && part[0] >= 'a' && part[0] <= 'z' && part.find('/') == std::string::npos)
      words.push_back(part);
    at = end + 1;
  }
  return words;
}

CommandNode describe_commands(const CLI::App& program) { return describe(program, ""); }

std::vector<const CommandNode*> all_nodes(const CommandNode& node) {
  std::vector<const CommandNode*> nodes = {&node};
  for (const CommandNode& command : node.commands)
    for (const CommandNode* below : all_nodes(command)) nodes.push_back(below);
  return nodes;
}

}  // namespace ropewalk
