// hosted_model.h — a model with its scheduler, as a serve::Service answers with it: what `serve`
// and `batch` have in common.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "core/engine/engine.h"
#include "core/schedule/scheduler.h"
#include "core/serve/service.h"

namespace ropewalk {

// What the configuration says to the scheduler of a model with this context length.
ScheduleSettings schedule_settings(const Config& config, uint32_t context);

// Its end ends what still runs.
class HostedModel {
 public:
  // Loads the model, compiles every program and starts the scheduler. Throws Error, and Stopped
  // where a signal came.
  HostedModel(const CommonArguments& arguments, const Config& config);

  // REQUIRES: called once; `service` was made for the same configuration and goes before this.
  void serve_with(serve::Service& service);

  Scheduler& scheduler() { return *scheduler_; }
  uint32_t slots() const;  // replies at a time
  // A short name for everything but the request that decides which tokens it gets.
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  serve::SamplerManual manual_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Scheduler> scheduler_;
  std::string fingerprint_;
  bool batch_invariant_ = false;  // the bits of a reply do not depend on its company
};

}  // namespace ropewalk
