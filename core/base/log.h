// log.h — what the program says beside its answer: notes and warnings, one line each, on stderr.
//
// Thread-safe. stdout belongs to the answer alone (docs/cli.md).
#pragma once

#include <string_view>

namespace ropewalk {

enum class Verbosity { quiet, normal, verbose };

void set_verbosity(Verbosity verbosity);

void warn(std::string_view text);     // "warning: ..." always, unless --quiet
void note(std::string_view text);     // "note: ..." always, unless --quiet
void verbose(std::string_view text);  // only with --verbose

}  // namespace ropewalk
