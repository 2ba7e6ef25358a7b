// output.h — stdout: writes the answer at once and completely, or throws an error that says why
// not.
#pragma once

#include <string_view>

#include "core/json/json_fwd.h"

namespace ropewalk {

// The reader of stdout has gone (`ropewalk run ... | head`): the command ends quietly with 0.
struct OutputClosed {};

// Unbuffered. Throws OutputClosed, or Error(output) where the bytes cannot be written.
void print(std::string_view text);
// On one line. Text in it that is not UTF-8 is printed with U+FFFD.
void print_json(const Json& json);

// Answers to what a user typed, a line on stderr each, also with --quiet: "note: ...", and
// "warning: ..." for what could not be done.
void tell(std::string_view text);
void tell_wrong(std::string_view text);

bool stderr_is_terminal();
// A terminal that takes a line back: not TERM=dumb.
bool stderr_can_redraw();
bool stdin_is_terminal();
// Whether stdout is a terminal that may be sent colours and the like: NO_COLOR is not set.
bool stdout_shows_colour();

}  // namespace ropewalk
