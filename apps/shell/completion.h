// completion.h — scripts by which a shell completes the commands and options of the program.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "apps/shell/command_tree.h"

namespace ropewalk {

// "bash", "fish", "zsh".
std::vector<std::string> known_shells();

// The script for one of them. It stands alone: the program is not run to complete a word.
// REQUIRES: it is known.
std::string completion_script(std::string_view shell, const CommandNode& program);

}  // namespace ropewalk
