// command_line.h — from argv to the command to run.
#pragma once

#include <functional>
#include <string_view>

namespace ropewalk {

// The command, ready to run; for --help and --version one that prints. Throws Error(usage) for an
// unknown command or option (with the nearest), a missing or malformed value.
std::function<int()> parse_command_line(int argc, const char* const* argv);

// Throws Error(usage) about what was typed.
[[noreturn]] void refuse_command_line(std::string_view what, std::string_view advice);

}  // namespace ropewalk
