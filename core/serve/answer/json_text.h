// json_text.h — JSON as clients read it: one line, in UTF-8, safe in a stream of events.
#pragma once

#include <string>
#include <string_view>

#include "core/json/json_fwd.h"

namespace ropewalk::serve {

// Beside what JSON must escape, DEL, U+0085, U+2028 and U+2029 are: some readers of event streams
// take them for ends of lines. Bytes that are no UTF-8 become U+FFFD. The same double has the same
// digits everywhere.
std::string json_text(const Json& json);
// The same of a string.
std::string json_string(std::string_view text);

// An event of an event stream: "data: ...\n\n".
std::string event(const Json& json);

}  // namespace ropewalk::serve
