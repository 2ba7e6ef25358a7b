// batch_run.h — answers the questions of a batch by the server's own endpoints, so many at a time
// that every step of the scheduler is full.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "core/base/error.h"
#include "core/batch/batch_input.h"
#include "core/batch/ledger.h"
#include "core/http/server.h"

namespace ropewalk::batch {

struct RunSettings {
  uint32_t in_flight = 1;  // questions that are asked and not answered yet
  uint32_t finished = 1;   // of them, the oldest, those that are still answered after a stop
  std::function<bool()> stopped = [] { return false; };
  std::function<void()> moment = [] {};  // after every answer, and about ten times a second
  // Why the model cannot go on; nothing while it can.
  std::function<std::optional<Error>()> failure = [] { return std::nullopt; };
};

// Asks what the ledger does not have, and returns when all is answered, or after a stop. Routes are
// those of serve::Service. An answer that says "come again later" (429, 503) is none. Throws Error
// where the model cannot go on, the ledger cannot be written, or a line has changed since it was
// checked.
void run_batch(BatchInput& input, Ledger& ledger, std::span<const http::Route> routes,
               const RunSettings& settings);

// What an endpoint is asked. Throws ApiError: 404, 405, and 400 for a stream.
http::Request request_of(const Question& question);

}  // namespace ropewalk::batch
