// The first start writes a pipeline cache, the second reads it, and a damaged one only causes a
// note.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "core/eval/score.h"
#include "tests/vulkan/vulkan_model.h"

namespace ropewalk::test {
namespace {

namespace fs = std::filesystem;

using testing::HasSubstr;
using testing::Not;

class VulkanStart : public testing::Test {
 protected:
  VulkanStart() { setenv("XDG_CACHE_HOME", folder_.c_str(), 1); }
  ~VulkanStart() override {
    unsetenv("XDG_CACHE_HOME");
    fs::remove_all(folder_);
  }

  // Log-probabilities with the cache on; `said` is what stderr got.
  std::vector<double> run(std::string* said) const {
    Config config = vulkan_config(kActOrderFixture);
    config.backend.plugin.options.clear();
    testing::internal::CaptureStderr();
    FixtureModel model(kActOrderFixture, fixture_settings(config));
    const auto logprobs = score(model.runtime, ids_of(kActOrderFixture), nullptr).logprobs;
    *said = testing::internal::GetCapturedStderr();
    return logprobs;
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(folder_ / "ropewalk")) found.push_back(entry);
    return found;
  }

  const fs::path folder_ =
      fs::temp_directory_path() / ("ropewalk-start-test-" + std::to_string(getpid()));
};

TEST_F(VulkanStart, WritesOneCacheAndReadsItAgain) {
  std::string said;
  const auto cold = run(&said);
  EXPECT_THAT(said, Not(HasSubstr("note: ")));
  ASSERT_EQ(files().size(), 1u);
  EXPECT_GT(fs::file_size(files()[0]), 24u);
  EXPECT_EQ(run(&said), cold);
  EXPECT_THAT(said, Not(HasSubstr("note: ")));
}

TEST_F(VulkanStart, ADamagedCacheIsNotedAndReplaced) {
  std::string said;
  const auto cold = run(&said);
  ASSERT_EQ(files().size(), 1u);
  std::ofstream(files()[0]) << "rubbish";
  EXPECT_EQ(run(&said), cold);
  EXPECT_THAT(said, HasSubstr("damaged, ignored"));
  EXPECT_EQ(run(&said), cold);
  EXPECT_THAT(said, Not(HasSubstr("note: ")));
}

}  // namespace
}  // namespace ropewalk::test
