// adapter_options.h — the options of adapter_commands.h, for command_line.cpp.
#pragma once

#include "apps/adapter/adapter_commands.h"

namespace CLI {
class App;
}

namespace ropewalk {

// Adds to a subcommand what is its own; command_line.cpp adds what all have.
void add_options(CLI::App& app, AdapterCheckArguments& check);
void add_options(CLI::App& app, AdapterMergeArguments& merge);
void add_options(CLI::App& app, AdapterCombineArguments& combine);

}  // namespace ropewalk
