// json_fwd.h — the names of this room, for headers that only hand JSON on. json.h includes the
// whole library, which takes the compiler longer than most of our sources.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace ropewalk {

// Keeps the order of keys, so that answers read as docs/cli.md shows them.
using Json = nlohmann::ordered_json;

struct JsonSource;
class JsonFields;

}  // namespace ropewalk
