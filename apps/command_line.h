// command_line.h — from argv to the command to run.
#pragma once

#include <functional>

namespace ropewalk {

// The command, ready to run; for --help and --version one that prints. Throws Error(usage) for an
// unknown command or option (with the nearest), a missing or malformed value.
std::function<int()> parse_command_line(int argc, const char* const* argv);

}  // namespace ropewalk
