// inspect_text.h — the answer of `ropewalk inspect` for people: the JSON answer, one fact a line,
// with readable sizes, and whether the model fits and is sound.
#pragma once

#include <string>

#include "core/json/json_fwd.h"

namespace ropewalk {

std::string inspect_text(const Json& answer);

}  // namespace ropewalk
