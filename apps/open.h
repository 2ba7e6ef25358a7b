// open.h — from a command's arguments to its configuration and its model.
#pragma once

#include <string>

#include "apps/commands.h"
#include "core/config/config.h"
#include "core/engine/engine.h"

namespace ropewalk {

// What the arguments name, with their overrides: a file, or a model itself (its folder, or ORG/NAME
// in the cache of Hugging Face's hub).
Config open_config(const CommonArguments& arguments);

// The same without a file, for commands that need none: `model` is a model's folder, and paths are
// relative to the current one.
Config config_without_file(const CommonArguments& arguments, const std::string& model);

// The file of --trace; null where none is asked for. Throws Error (output).
std::unique_ptr<TraceFile> open_trace(const CommonArguments& arguments);

// Loads the model, its tokenizer and prompt format; shows a progress bar where that takes long.
Engine open_engine(const CommonArguments& arguments, const Config& config, TextNeed text);

// Only the model, for commands that work on ids: needs no tokenizer.
struct OpenModel {
  OpenModel(const RuntimeSettings& settings, const WeightSource& weights)
      : registry(make_registry(settings.config)), runtime(registry, weights, settings) {}

  Registry registry;
  Runtime runtime;
};

OpenModel open_checkpoint(const CommonArguments& arguments, RuntimeSettings settings);
OpenModel open_weights(const CommonArguments& arguments, RuntimeSettings settings,
                       const WeightSource& weights);

}  // namespace ropewalk
