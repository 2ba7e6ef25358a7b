// fixture_model.h — a checkpoint of tests/fixtures/models on the CPU backend, in f32 throughout.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "core/checkpoint/weights/checkpoint_weights.h"
#include "core/engine/engine.h"
#include "core/json/json.h"
#include "core/model/families.h"

namespace ropewalk::test {

inline std::string read_text(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

inline std::filesystem::path models_folder() {
  const char* moved = std::getenv("ROPEWALK_FIXTURES");  // on another machine
  return std::filesystem::path(moved ? moved : RW_FIXTURES) / "models";
}

inline Json expected_of(const std::string& variant) {
  const auto file = models_folder() / variant / "expected.json";
  return parse_json(read_text(file), {file.string(), ExitCode::model});
}

// cpu, an f32 cache, and a context that holds the variant's prompt and continuation.
inline Config fixture_config(const std::string& variant, const Json& expected) {
  Config config;
  config.model = models_folder() / variant;
  config.backend.plugin.name = "cpu";
  config.context.kv_cache = KvCacheType::f32;
  config.context.length = static_cast<uint32_t>(expected["ids"].size() + 16);
  if (expected.contains("rope")) {
    PluginChoice rope;
    rope.key = "rope";
    for (const auto& [name, value] : expected["rope"].items()) {
      if (name == "policy") {
        rope.name = value.get<std::string>();
      } else {
        ConfigEntry option;
        option.key = name;
        option.value = make_scalar(value.dump(), Where{});
        rope.options.push_back(std::move(option));
      }
    }
    config.rope = rope;
  }
  return config;
}

// Text is no part of most variants, so they run on a Runtime, below the Engine.
struct FixtureModel {
  FixtureModel(const std::string& variant, const RuntimeSettings& settings)
      : registry(make_registry(settings.config)),
        checkpoint(Checkpoint::open(models_folder() / variant, config_families())),
        runtime(registry, CheckpointWeights(*checkpoint), settings) {}

  Registry registry;
  std::unique_ptr<Checkpoint> checkpoint;
  Runtime runtime;
};

inline RuntimeSettings fixture_settings(const Config& config) {
  RuntimeSettings settings;
  settings.config = config;
  settings.max_wanted = 64;
  return settings;
}

}  // namespace ropewalk::test
