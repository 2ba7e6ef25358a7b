// manual.h — the manual page ropewalk(1), as man reads it (roff with the macros of man(7)).
#pragma once

#include <string>

#include "apps/shell/command_tree.h"

namespace ropewalk {

std::string manual_page(const CommandNode& program, const std::string& version);

}  // namespace ropewalk
