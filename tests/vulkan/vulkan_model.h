// vulkan_model.h — a checkpoint of tests/fixtures/models on the Vulkan backend, with its options.
#pragma once

#include <string>
#include <utility>

#include "core/modules/registry.h"
#include "tests/end_to_end/fixture_model.h"

namespace ropewalk::test {

// Device 0, its pipeline cache off: a test must not depend on what another has left.
inline Config vulkan_config(const std::string& variant) {
  Config config = fixture_config(variant, expected_of(variant));
  config.backend.plugin.name = "vulkan";
  config.backend.device = 0;
  set_option(config, "pipeline-cache", "false");
  return config;
}

// Probes with the built program: a test program would run its tests where the probe is meant.
inline Registry probing_registry() {
  RegistrySettings settings;
  settings.install_folder = install_folder();
  settings.probe.program = RW_PROGRAM;
  return Registry(std::move(settings));
}

}  // namespace ropewalk::test
