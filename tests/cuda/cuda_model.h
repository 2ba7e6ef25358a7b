// cuda_model.h — a checkpoint of tests/fixtures/models on the CUDA backend, or on the emulator.
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include "tests/end_to_end/fixture_model.h"

namespace ropewalk::test {

// CUDA_TEST_BACKEND is "emulated" for the emulator.
inline std::string test_backend() {
  const char* name = std::getenv("CUDA_TEST_BACKEND");
  return name ? name : "cuda";
}

inline Config cuda_config(const std::string& variant) {
  Config config = fixture_config(variant, expected_of(variant));
  config.backend.plugin.name = test_backend();
  config.backend.device = 0;
  config.context.kv_cache = KvCacheType::f16;
  return config;
}

// Why the tests cannot run here; empty: they can.
inline std::string missing_device(const Config& config) {
  Registry registry = make_registry(config);
  try {
    open_device(registry, config.backend);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

inline void set_option(Config& config, const std::string& option, const std::string& value) {
  config.backend.plugin.options.push_back({option, Where{}, make_scalar(value, Where{})});
}

inline std::vector<int32_t> ids_of(const std::string& variant) {
  return expected_of(variant)["ids"].get<std::vector<int32_t>>();
}

}  // namespace ropewalk::test
