// rope_choice.h — which RoPE policy a run uses: the configuration's, else the model's own.
#pragma once

#include "core/abi/rope_scaling.h"
#include "core/checkpoint/config/model_config.h"
#include "core/config/config.h"
#include "core/model/rope_tables.h"

namespace ropewalk {

struct RopeChoice {
  PluginChoice plugin;
  abi::RopeRequest request;  // length: the context length
  RopeMode mode = RopeMode::hf_compat;
  RopeHeads heads;
  bool from_model = true;
};

// Warns, naming both, where the configuration contradicts config.json, and where the context is
// longer than the model was trained for. Throws Error(usage) for a bad rope.mode.
RopeChoice choose_rope(const Config& config, const ModelConfig& model, uint32_t context_length);

}  // namespace ropewalk
