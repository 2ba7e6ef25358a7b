// calibration_adapter.h — the adapter that a model is quantised to run beside.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/adapter/adapter.h"
#include "core/checkpoint/checkpoint.h"
#include "core/config/config.h"
#include "core/json/json.h"

namespace ropewalk {

struct CalibrationAdapter {
  std::string name;                  // in the configuration
  std::unique_ptr<Adapter> adapter;  // nullptr: none
  double scale = 1;
  Json facts;  // what the result depends on: its digest and scale; null: none
};

// The one that `adapter` names in the configuration. Throws what check_for_run() throws, and what
// tick() does.
CalibrationAdapter calibration_adapter(const Config& config, const Checkpoint& base,
                                       const std::function<void()>& tick);

}  // namespace ropewalk
