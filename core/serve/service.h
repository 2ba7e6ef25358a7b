// service.h — the server's endpoints, whatever the state of its model: loading, ready, draining.
//
// Handlers run on the HTTP server's workers; probes run on its I/O thread and never wait for the
// engine. Outlives the HTTP server.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/config.h"
#include "core/http/server.h"
#include "core/schedule/scheduler.h"
#include "core/serve/explain.h"
#include "core/serve/guard/gate.h"
#include "core/serve/guard/journal.h"
#include "core/serve/guard/prompt_log.h"
#include "core/serve/guard/quotas.h"
#include "core/serve/request/served_model.h"
#include "core/serve/run/writer.h"

namespace ropewalk::serve {

enum class State { loading, ready, draining };

// A model that requests can use. Refers to what its owner keeps.
struct LoadedModel {
  ServedModel model;
  Scheduler& scheduler;
  SamplerManual manual;
  std::string model_folder;
  uint32_t slots;  // replies at a time
};

struct ServiceSettings {
  Config config;
  Keys keys;
  std::string version;
  std::function<void(std::string_view)> log;  // a line of the access log; empty: none
};

class Service {
 public:
  // Throws Error(usage) for sampling fields in the configuration that no request has, for origins
  // that are none, and as PromptLog does.
  explicit Service(ServiceSettings settings);
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  std::vector<http::Route> routes();
  http::Hooks hooks();

  // For the counts in /metrics. REQUIRES: the server is stopped before it goes.
  void watch(const http::Server& server) { server_ = &server; }
  // Ready from now on. REQUIRES: called once; what `model` refers to outlives the HTTP server.
  void serve(LoadedModel model);
  // Not ready any more, but requests are still taken.
  void begin_drain();

  // For endpoints.
  State state() const { return state_; }
  const Config& config() const { return settings_.config; }
  const std::string& version() const { return settings_.version; }
  const std::string& model_name() const { return model_name_; }
  int64_t started() const { return started_; }
  // Throws ApiError 503 model_loading.
  LoadedModel& loaded();
  // The same, or nullptr.
  LoadedModel* loaded_or_null() { return state_ == State::loading ? nullptr : loaded_.get(); }
  const http::Server* server() const { return server_; }
  Journal& journal() { return journal_; }
  PromptLog& prompt_log() { return prompt_log_; }
  Writer& writer() { return writer_; }
  void reload_keys() { gate_.reload_keys(); }
  // The share of the request's key in what keys may have; null where there is none. Throws ApiError
  // 429.
  std::unique_ptr<Quotas::Share> share(const http::Request& request, uint32_t replies,
                                       uint64_t prompt_tokens);
  // What the scheduler is told beside a request: whose prefixes it may find, until when it may run.
  Terms terms(const http::Request& request, const std::string& cache_salt,
              std::optional<std::chrono::milliseconds> deadline) const;

 private:
  const ServiceSettings settings_;
  const std::string model_name_;
  const int64_t started_;
  Gate gate_;
  Journal journal_;
  PromptLog prompt_log_;
  std::vector<std::string> known_paths_;
  std::atomic<State> state_ = State::loading;
  std::atomic<const http::Server*> server_ = nullptr;
  std::unique_ptr<LoadedModel> loaded_;
  std::unique_ptr<Quotas> quotas_;  // from serve() on; jobs of the writer hold shares
  Writer writer_;
};

}  // namespace ropewalk::serve
