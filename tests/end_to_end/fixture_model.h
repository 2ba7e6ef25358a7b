// fixture_model.h — a checkpoint of tests/fixtures/models, loaded to be run: on the CPU backend and
// in f32 throughout, unless the configuration says otherwise.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "core/checkpoint/weights/checkpoint_weights.h"
#include "core/engine/engine.h"
#include "core/eval/score.h"
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

inline std::vector<int32_t> ids_of(const std::string& variant) {
  return expected_of(variant)["ids"].get<std::vector<int32_t>>();
}

// The variant's ids again and again, over many pages of the cache.
inline std::vector<int32_t> long_text_of(const std::string& variant) {
  const std::vector<int32_t> ids = ids_of(variant);
  std::vector<int32_t> text;
  while (text.size() < 550) text.insert(text.end(), ids.begin(), ids.end());
  return text;
}

inline constexpr char kActOrderFixture[] = "gptq-b4-airophin";  // groups of 32, linear RoPE

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

inline void set_option(Config& config, const std::string& option, const std::string& value) {
  config.backend.plugin.options.push_back({option, Where{}, make_scalar(value, Where{})});
}

inline void set_list(Config& config, const std::string& option, const std::string& item) {
  config.backend.plugin.options.push_back({option, Where{}, make_list({item}, Where{})});
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

// The log-probability of every id but the first, by a model that is loaded for it.
inline std::vector<double> logprobs_of(const std::string& variant, const Config& config,
                                       const std::vector<int32_t>& ids) {
  FixtureModel model(variant, fixture_settings(config));
  return score(model.runtime, ids, nullptr).logprobs;
}

// Infinite where the lengths differ.
inline double max_difference(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return INFINITY;
  double max = 0;
  for (size_t i = 0; i < a.size(); ++i) max = std::max(max, std::fabs(a[i] - b[i]));
  return max;
}

}  // namespace ropewalk::test
