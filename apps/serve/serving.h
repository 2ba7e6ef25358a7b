// serving.h — a configuration being served: HTTP server, model and scheduler, in the order in which
// they must begin and end.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "apps/commands.h"
#include "apps/serve/hosted_model.h"
#include "apps/signals.h"
#include "core/http/server.h"
#include "core/serve/service.h"

namespace ropewalk {

class Serving {
 public:
  // Listens when it returns: probes are answered, everything else gets a 503. Throws Error(usage)
  // for keys and addresses.
  Serving(const ServeArguments& arguments, Config config);
  ~Serving();  // cancels what still runs
  Serving(const Serving&) = delete;
  Serving& operator=(const Serving&) = delete;

  // Loads the model and compiles its programs; then it is ready. Throws Error, and Stopped where a
  // signal came.
  void load();
  const Config& config() const { return config_; }
  const std::string& address() const { return http_->addresses().front(); }
  const std::string& model_name() const { return service_.model_name(); }
  // Why it cannot go on; nothing while it can.
  std::optional<Error> failure() const { return model_->scheduler().failure(); }

  // Reads the file of keys again where a SIGHUP has come.
  void reload_if_asked();

  // Not ready any more; requests are still taken.
  void begin_drain() { service_.begin_drain(); }
  // Takes no more requests and lets running ones finish, for so many seconds.
  http::Ended drain(uint32_t seconds);

 private:
  const ServeArguments arguments_;
  const Config config_;
  std::unique_ptr<HostedModel> model_;
  serve::Service service_;
  std::optional<ReloadRequest> reload_;  // where there is a file: else SIGHUP ends the program
  std::unique_ptr<http::Server> http_;
};

}  // namespace ropewalk
