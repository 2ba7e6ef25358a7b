// evaluation_options.h — the options of evaluation_commands.h, for command_line.cpp.
#pragma once

#include "apps/evaluation/evaluation_commands.h"

namespace CLI {
class App;
}

namespace ropewalk {

// Adds a subcommand's own options; command_line.cpp adds those that all have.
void add_options(CLI::App& app, PerplexityArguments& perplexity);
void add_options(CLI::App& app, CompareArguments& compare);
void add_options(CLI::App& app, RecallArguments& recall);
void add_options(CLI::App& app, MmluArguments& mmlu);

}  // namespace ropewalk
