#include <fmt/format.h>

#include "core/serve/endpoints/endpoints.h"
#include "core/serve/guard/metrics_text.h"
#include "core/serve/run/responses.h"

namespace ropewalk::serve {
namespace {

constexpr Seconds kHung{30};
// So many steps that fail in a row make a server unhealthy, until one works. As routers then send
// nothing, no step would: after this time without one they may try again.
constexpr uint32_t kFailedSteps = 3;
constexpr Seconds kFailuresLast{30};

// Throws the ApiError 503 that says why a request would not be served.
void check_ready(Service& service) {
  const Scheduler& scheduler = service.loaded().scheduler;
  if (service.state() == State::draining) throw refusal_error(Refusal::draining, Seconds(0));
  if (scheduler.failure()) throw refusal_error(Refusal::device_lost, Seconds(0));
  const FailedSteps failed = scheduler.failed_steps();
  if (failed.in_a_row < kFailedSteps || Clock::now() - failed.latest > kFailuresLast) return;
  throw ApiError(503, "steps_failing",
                 fmt::format("The last {} steps failed: {}", failed.in_a_row, failed.error->what()),
                 "")
      .retry_in(static_cast<int>(kFailuresLast.count()));
}

bool is_ready(Service& service) {
  try {
    check_ready(service);
    return true;
  } catch (const ApiError&) {
    return false;
  }
}

}  // namespace

// 200 only where a request would be served: routers send traffic on it.
http::Response health(Service& service, const http::Request&) {
  check_ready(service);
  return json_response({{"status", "ok"}});
}

// 503 only where nothing but a new process would help.
http::Response live(Service& service, const http::Request&) {
  const LoadedModel* model = service.loaded_or_null();
  if (model && model->scheduler.heartbeat_age() > kHung)
    throw ApiError(503, "internal",
                   "The thread of the engine has not answered for 30 seconds. Restart the server.",
                   "");
  return json_response({{"status", "alive"}});
}

http::Response metrics(Service& service, const http::Request&) {
  ServerFacts facts;
  facts.model_name = service.model_name();
  facts.version = service.version();
  facts.ready = is_ready(service);
  facts.started = service.started();
  facts.process = process_use();
  if (const http::Server* server = service.server())
    facts.connections = server->counts().connections;
  const LoadedModel* model = service.loaded_or_null();
  std::optional<Metrics> counts;
  if (model) {
    facts.fingerprint = model->model.fingerprint;
    facts.heartbeat_seconds = model->scheduler.heartbeat_age().count();
    counts = model->scheduler.metrics();
  }
  return {.content_type = "text/plain; version=0.0.4; charset=utf-8",
          .body = metrics_text(facts, counts ? &*counts : nullptr, service.journal().counts())};
}

}  // namespace ropewalk::serve
