// serve.cpp — `ropewalk serve CONFIG`: an HTTP server that OpenAI's clients can talk to.
#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "apps/commands.h"
#include "apps/open.h"
#include "apps/output.h"
#include "apps/serve/serving.h"
#include "apps/signals.h"
#include "core/base/log.h"

namespace ropewalk {
namespace {

constexpr std::chrono::milliseconds kPollInterval{50};
// After a failure of the engine, so that clients that wait can still read the error.
constexpr uint32_t kErrorDrainSeconds = 2;

std::string url(const std::string& address) {
  return address.starts_with("unix:") ? address : "http://" + address;
}

// Returns when `flag` is raised, or `time` is over where there is one. Throws what stopped the
// engine.
void wait(Serving& serving, const std::atomic<bool>* flag,
          std::optional<std::chrono::seconds> time) {
  const auto start = std::chrono::steady_clock::now();
  while (!(flag && *flag) && !(time && std::chrono::steady_clock::now() - start >= *time)) {
    if (const auto failure = serving.failure()) throw *failure;
    serving.reload_if_asked();
    std::this_thread::sleep_for(kPollInterval);
  }
}

}  // namespace

int serve_http(const ServeArguments& arguments) {
  const StopRequest stop;  // a second signal ends the program at once
  Serving serving(arguments, open_config(arguments.common));
  note(fmt::format("listening on {}, loading the model", url(serving.address())));
  serving.load();
  print(fmt::format("ropewalk serves {} at {}\n", serving.model_name(), url(serving.address())));

  const ServeConfig& settings = serving.config().serve;
  try {
    wait(serving, &stop.flag(), {});
    note(fmt::format("draining: /health is 503 now, requests are still taken for {} s",
                     settings.drain_delay));
    serving.begin_drain();
    wait(serving, nullptr, std::chrono::seconds(settings.drain_delay));
  } catch (const Error&) {
    serving.begin_drain();
    serving.drain(kErrorDrainSeconds);
    throw;
  }
  const http::Ended ended = serving.drain(settings.drain_seconds);
  return ended == http::Ended::finished ? 0 : 128 + stop.signal();
}

}  // namespace ropewalk
