// config_test.h — what the tests of this room share.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "core/config/config.h"
#include "tests/error_of.h"
#include "tests/files.h"

namespace ropewalk::test {

namespace fs = std::filesystem;

inline Config parse(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  return parse_config(yaml, {.file = "/etc/c.yaml", .overrides = overrides});
}

}  // namespace ropewalk::test
