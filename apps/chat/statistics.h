// statistics.h — what a reply cost, as `run` and `chat` print it.
#pragma once

#include <string>

#include "core/engine/engine.h"
#include "core/generate/request.h"
#include "core/json/json_fwd.h"

namespace ropewalk {

// Rates are 0 where nothing was run. Times in seconds, sizes in bytes.
Json statistics_json(Engine& engine, const ReplyStats& stats);

// "loaded in 1.2 s; prompt 512 tokens, 4300 tokens/s; reply 96 tokens, 61.0 tokens/s, 512 GB/s"
// "12 tokens, 25.0 tokens/s".
std::string short_statistics_line(const ReplyStats& stats);

std::string statistics_line(Engine& engine, const ReplyStats& stats);

}  // namespace ropewalk
