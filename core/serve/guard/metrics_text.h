// metrics_text.h — the counts of the server as Prometheus reads them (text format 0.0.4), under
// vLLM's names beside ours, so that its dashboards and routers find theirs.
#pragma once

#include <cstdint>
#include <string>

#include "core/http/server.h"
#include "core/schedule/metrics.h"
#include "core/serve/guard/journal.h"
#include "core/serve/guard/process.h"

namespace ropewalk::serve {

struct ServerFacts {
  std::string model_name = {}, version = {}, fingerprint = {};
  bool ready = false;
  uint32_t connections = 0;
  double heartbeat_seconds = 0;
  int64_t started = 0;  // Unix time, seconds
  ProcessUse process = {};
};

// No label has a client's text. `metrics` may be null while the model loads.
std::string metrics_text(const ServerFacts& facts, const Metrics* metrics,
                         const Journal::Counts& counts);

}  // namespace ropewalk::serve
