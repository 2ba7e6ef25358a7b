// command_tree.h — the commands and options of the program as plain data: what completion scripts
// and the manual page are written from.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace ropewalk {

struct CommandOption {
  std::vector<std::string> names = {};  // "-n", "--max-new-tokens"; empty: it has its place only
  std::string place = {};               // "CONFIG", where it may stand without a name
  std::string value = {};               // what it takes: "FILE", "v1|v2"; empty: it is a flag
  std::string help = {};
  std::string default_value = {};  // empty: none
  bool required = false;

  // Values that can be listed: the parts of `value` in lower case, and every key for KEY=VALUE of
  // --set.
  std::vector<std::string> words() const;
  bool operator==(const CommandOption&) const = default;
};

struct CommandNode {
  std::string path;  // " adapter merge"; empty: the program
  std::string help;
  std::vector<CommandOption> options;
  std::vector<CommandNode> commands;

  std::string name() const { return path.substr(path.rfind(' ') + 1); }
};

// The program and all that is below it.
CommandNode describe_commands(const CLI::App& program);

// The node itself and all below it, as the help lists them.
std::vector<const CommandNode*> all_nodes(const CommandNode& node);

}  // namespace ropewalk
