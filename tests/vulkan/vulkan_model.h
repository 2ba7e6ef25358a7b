// vulkan_model.h — a checkpoint of tests/fixtures/models on the Vulkan backend, with its options.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/modules/registry.h"
#include "tests/end_to_end/fixture_model.h"

namespace ropewalk::test {

// Device 0, its pipeline cache off: a test must not depend on what another has left.
inline Config vulkan_config(const std::string& variant) {
  Config config = fixture_config(variant, expected_of(variant));
  config.backend.plugin.name = "vulkan";
  config.backend.device = 0;
  config.backend.plugin.options.push_back(
      {"pipeline-cache", Where{}, make_scalar("false", Where{})});
  return config;
}

inline void set_list(Config& config, const std::string& option, const std::string& item) {
  config.backend.plugin.options.push_back({option, Where{}, make_list({item}, Where{})});
}

inline void set_option(Config& config, const std::string& option, const std::string& value) {
  config.backend.plugin.options.push_back({option, Where{}, make_scalar(value, Where{})});
}

// Probes with the built program: a test program would run its tests where the probe is meant.
inline Registry probing_registry() {
  RegistrySettings settings;
  settings.install_folder = install_folder();
  settings.probe.program = RW_PROGRAM;
  return Registry(std::move(settings));
}

inline std::vector<int32_t> ids_of(const std::string& variant) {
  return expected_of(variant)["ids"].get<std::vector<int32_t>>();
}

}  // namespace ropewalk::test
