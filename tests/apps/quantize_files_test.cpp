// The files of a model that `ropewalk quantize` made.
#include <gmock/gmock.h>

#include <filesystem>
#include <map>

#include "tests/apps/program.h"

namespace ropewalk::test {
namespace {

namespace fs = std::filesystem;

// Shards hold what one file holds, and what lies beside the weights comes along as it is.
TEST(Quantize, WritesShardsAndCopiesWhatLiesBesideTheWeights) {
  const TemporaryFolder folder;
  const fs::path base = folder.path() / "base", whole = folder.path() / "whole",
                 shards = folder.path() / "shards";
  fs::copy(kBase, base);
  const std::map<std::string, std::string> beside = {
      {"LICENSE.txt", "free\n"}, {"NOTICE", "notice\n"}, {"chat_template.jinja", "{{ messages }}"}};
  for (const auto& [name, text] : beside) write_file(base / name, text);
  write_file(base / "training_args.bin", "not the model's");
  const auto quantize_to = [&](const fs::path& out, const std::string& shard_size) {
    return run_program(
        {"quantize", base, "--out", out, "--calibration", RW_FIXTURES "/airophin-mini/text.txt",
         "--method", "rtn", "--shard-size", shard_size, "--backend", "cpu"},
        "");
  };
  ASSERT_EQ(quantize_to(whole, "1GB").code, 0);
  ASSERT_EQ(quantize_to(shards, "1MB").code, 0);
  EXPECT_TRUE(fs::exists(whole / "model.safetensors"));
  const auto files = files_of(shards);
  for (const char* name : {"tokenizer.model", "tokenizer_config.json", "special_tokens_map.json",
                           "generation_config.json"})
    EXPECT_EQ(files.at(name), read_file(base / name)) << name;
  for (const auto& [name, text] : beside) EXPECT_EQ(files.at(name), text) << name;
  EXPECT_FALSE(files.contains("training_args.bin"));
  EXPECT_FALSE(files.contains("model.safetensors"));
  EXPECT_TRUE(files.contains("model.safetensors.index.json"));
  EXPECT_TRUE(files.contains("model-00002-of-00003.safetensors"));
  const std::string ids = folder.write("ids", "1 5 7");
  const auto logits_of = [&](const fs::path& model) {
    return run_program({"run", model, "--prompt-ids", ids, "-n", "1", "--backend", "cpu", "--json"},
                       "")
        .json()["logits_hash"];
  };
  EXPECT_EQ(logits_of(shards), logits_of(whole));
}

}  // namespace
}  // namespace ropewalk::test
