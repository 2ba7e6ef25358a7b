// modules_test.h — what the tests of this room share.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

#include "core/modules/registry.h"
#include "tests/error_of.h"
#include "tests/files.h"

namespace ropewalk::test {

namespace fs = std::filesystem;

inline fs::path liar(const std::string& name) { return fs::path(RW_LIARS) / (name + ".so"); }

// Sanitizers in the child would turn its signals into exit codes.
inline ProbeSettings probe_settings() {
  setenv("ASAN_OPTIONS", "handle_abort=0:handle_segv=0:handle_sigbus=0", 1);
  return {.program = RW_PROBE_PROGRAM, .limit = std::chrono::seconds(20)};
}

inline RegistrySettings settings_for(const std::vector<fs::path>& paths) {
  return {.install_folder = "/nonexistent", .paths = paths, .probe = probe_settings()};
}

}  // namespace ropewalk::test
