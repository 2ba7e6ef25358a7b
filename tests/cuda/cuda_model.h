// cuda_model.h — a checkpoint of tests/fixtures/models on the CUDA backend, or on the emulator.
#pragma once

#include <cstdlib>
#include <string>

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

}  // namespace ropewalk::test
