// served_model.h — what requests need to know of the model that is served.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config/config.h"
#include "core/engine/engine.h"

namespace ropewalk::serve {

// Refers to what the engine owns; const, hence safe to share between threads.
struct ServedModel {
  const Config& config;
  const TextSide& text;
  uint32_t context_length;
  uint32_t vocab;  // ids that a prompt may have
  std::string name;
  std::string fingerprint;
  bool batch_invariant;  // no reply depends on who else is served (OpenDevice::batch_dependence)
  int64_t created;       // Unix time, seconds
  std::vector<std::string> samplers;  // that a request may name
};

}  // namespace ropewalk::serve
