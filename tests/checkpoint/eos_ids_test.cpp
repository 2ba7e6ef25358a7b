// Which tokens end a reply: config.json and generation_config.json together.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/checkpoint/config/model_config.h"
#include "core/model/families.h"
#include "tests/checkpoint/tiny_model.h"
#include "tests/files.h"

namespace ropewalk::test {
namespace {

using ::testing::ElementsAre;

std::vector<int32_t> eos_ids(const Json& config, const Json& generation) {
  const TemporaryFolder directory;
  TinyModel model = tiny_model();
  model.config["eos_token_id"] = config;
  if (!generation.is_null())
    model.files["generation_config.json"] = Json{{"eos_token_id", generation}}.dump();
  write_model(model, directory.path());
  return read_model_config(directory.path(), config_families()).eos_ids;
}

TEST(EosIds, AreThoseOfBothFiles) {
  EXPECT_THAT(eos_ids(2, nullptr), ElementsAre(2));
  EXPECT_THAT(eos_ids(Json::array({2, 7}), nullptr), ElementsAre(2, 7));
  EXPECT_THAT(eos_ids(2, Json::array({2, 5})), ElementsAre(2, 5));
  EXPECT_THAT(eos_ids(nullptr, 9), ElementsAre(9));
  EXPECT_THAT(eos_ids(nullptr, nullptr), ElementsAre(2));  // LlamaConfig's default
}

TEST(EosIds, OutsideOfTheVocabularyAreIgnoredAloud) {
  testing::internal::CaptureStderr();
  EXPECT_THAT(eos_ids(Json::array({2, 32, -1}), nullptr), ElementsAre(2));
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, testing::HasSubstr("eos_token_id 32 is not in the vocabulary of 32"));
  EXPECT_THAT(log, testing::HasSubstr("eos_token_id -1"));
}

}  // namespace
}  // namespace ropewalk::test
