// The driver's cache on disk: it comes back as stored, and a damaged one is refused.
#include "backends/vulkan/program/pipeline_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

namespace ropewalk::vulkan {
namespace {

namespace fs = std::filesystem;

class PipelineCache : public testing::Test {
 protected:
  PipelineCache() {
    setenv("XDG_CACHE_HOME", folder_.c_str(), 1);
    features_.device_uuid[0] = 0xab;
    features_.cache_uuid[15] = 0x01;
  }
  ~PipelineCache() override {
    unsetenv("XDG_CACHE_HOME");
    fs::remove_all(folder_);
  }

  void overwrite(uint64_t at, char byte) const {
    std::fstream file(pipeline_cache_file(features_), std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(at));
    file.put(byte);
  }
  // The message of a load that gives nothing.
  std::string refused() const {
    testing::internal::CaptureStderr();
    EXPECT_TRUE(load_pipeline_cache(features_).empty());
    return testing::internal::GetCapturedStderr();
  }

  const fs::path folder_ =
      fs::temp_directory_path() / ("ropewalk-cache-test-" + std::to_string(getpid()));
  const std::vector<std::byte> data_ = std::vector<std::byte>(1000, std::byte{7});
  Features features_{};
};

TEST_F(PipelineCache, IsNamedAfterDeviceAndDriver) {
  EXPECT_EQ(pipeline_cache_file(features_),
            folder_ / "ropewalk" /
                "vulkan-ab000000000000000000000000000000-00000000000000000000000000000001.cache");
}

TEST_F(PipelineCache, ComesBackAsItWasStored) {
  EXPECT_EQ(refused(), "");  // none yet: no news
  store_pipeline_cache(features_, data_);
  EXPECT_EQ(load_pipeline_cache(features_), data_);
  const auto files = fs::directory_iterator(folder_ / "ropewalk");
  EXPECT_EQ(std::distance(begin(files), end(files)), 1) << "a temporary file is left";
}

// Its data are machine code of one device, as one build of its driver writes them.
TEST_F(PipelineCache, OfAnotherDriverOrDeviceIsNotTaken) {
  store_pipeline_cache(features_, data_);
  features_.cache_uuid[7] = 1;
  EXPECT_EQ(refused(), "");
  features_.cache_uuid[7] = 0;
  features_.device_uuid[7] = 1;
  EXPECT_EQ(refused(), "");
  features_.device_uuid[7] = 0;
  EXPECT_EQ(load_pipeline_cache(features_), data_);
}

TEST_F(PipelineCache, DamageIsNotedAndIgnored) {
  const uint64_t size = 24 + data_.size();
  for (const uint64_t at : {uint64_t{0}, uint64_t{8}, uint64_t{16}, uint64_t{24}, size - 1}) {
    store_pipeline_cache(features_, data_);
    overwrite(at, 'x');
    EXPECT_THAT(refused(), testing::HasSubstr("damaged, ignored")) << "byte " << at;
  }
}

TEST_F(PipelineCache, ACutFileIsDamaged) {
  for (const uint64_t size : {0, 1, 23, 24, 1023}) {
    store_pipeline_cache(features_, data_);
    fs::resize_file(pipeline_cache_file(features_), size);
    EXPECT_THAT(refused(), testing::HasSubstr("damaged, ignored")) << size << " bytes";
  }
}

TEST_F(PipelineCache, AFolderThatCannotBeWrittenIsNoFailure) {
  std::ofstream(folder_) << "a file where the folder should be";
  testing::internal::CaptureStderr();
  store_pipeline_cache(features_, data_);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::HasSubstr("cannot be written"));
  EXPECT_EQ(refused(), "");
}

}  // namespace
}  // namespace ropewalk::vulkan
