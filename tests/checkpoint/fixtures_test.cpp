// Every checkpoint that tools/fixtures wrote with other people's code opens and reads whole.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "core/base/log.h"
#include "core/model/families.h"
#include "tests/checkpoint/layers.h"

namespace ropewalk::test {
namespace {

std::vector<std::string> fixture_names() {
  std::vector<std::string> names;
  const std::filesystem::path root = RW_FIXTURES "/models";
  for (const auto& entry : std::filesystem::directory_iterator(root))
    if (entry.is_directory()) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

class Fixture : public testing::TestWithParam<std::string> {};

TEST_P(Fixture, OpensAndReadsWhole) {
  const auto checkpoint = Checkpoint::open(RW_FIXTURES "/models/" + GetParam(), config_families());
  read_everything(*checkpoint);
  EXPECT_EQ(checkpoint->quantization().has_value(), GetParam().find("gptq") != std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(All, Fixture, testing::ValuesIn(fixture_names()), [](const auto& row) {
  std::string name = row.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace ropewalk::test
