// `prompt.format: auto`: the format that is proved to write what a model's chat template writes.
#include "core/engine/format_choice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "core/json/json.h"
#include "tests/error_of.h"
#include "tests/files.h"

namespace ropewalk::test {
namespace {

// The proofs: conversations that tests/plugins renders, with the hash of the template.
std::vector<Json> proofs() {
  std::vector<Json> all;
  for (const auto& entry : std::filesystem::directory_iterator(RW_FIXTURES "/prompts")) {
    if (!entry.path().filename().string().starts_with("chat-")) continue;
    std::ifstream in(entry.path());
    all.push_back(Json::parse(in));
  }
  return all;
}

TEST(KnownFormats, EachIsProvedByAFixture) {
  const std::vector<Json> all = proofs();
  EXPECT_GE(all.size(), 19u);
  for (const KnownFormat& known : known_formats()) {
    Json options = Json::object();
    if (!known.option.empty()) options[std::string(known.option)] = known.value;
    EXPECT_TRUE(std::ranges::any_of(
        all,
        [&](const Json& fixture) {
          return fixture["normalised_sha256"].get<std::string>().starts_with(known.hash) &&
                 fixture["plugin"] == known.format && fixture["options"] == options;
        }))
        << known.format << " " << known.hash;
  }
}

// sha256sum of "a\n\tb" and of nothing.
TEST(TemplateHash, LeavesOutWhatEditorsChange) {
  const std::string hash = "07784d120e6762ac0099528b31f41ebfda1e7534fbca2239f9cc31c04deab0a3";
  EXPECT_EQ(template_hash("a\n\tb"), hash);
  EXPECT_EQ(template_hash("\n a  \r\n\tb \n\n"), hash);
  EXPECT_NE(template_hash("a\nb"), hash);
  EXPECT_EQ(template_hash(" \n\t"),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

Config config_of(const std::filesystem::path& model, const std::string& format) {
  Config config;
  config.model = model;
  config.prompt.format.name = format;
  return config;
}

TEST(FormatChoice, AFormatThatIsNamedIsTaken) {
  EXPECT_EQ(choose_format(config_of("/nowhere", "vicuna-v1.1")).name, "vicuna-v1.1");
}

TEST(FormatChoice, AutoNeedsATemplateThatIsKnown) {
  const TemporaryFolder folder;
  const auto refusal = [&] {
    return error_of([&] { choose_format(config_of(folder.path(), "auto")); });
  };
  EXPECT_NE(refusal().find("found auto, but the model's folder has no chat template"),
            std::string::npos);
  write_file(folder.path() / "tokenizer_config.json",
             R"({"chat_template": [{"name": "tools", "template": "t"},
                                   {"name": "default", "template": "a\n\tb\n"}]})");
  EXPECT_NE(refusal().find("of tokenizer_config.json (SHA-256 "
                           "07784d120e6762ac0099528b31f41ebfda1e7534fbca2239f9cc31c04deab0a3)"),
            std::string::npos)
      << refusal();
  write_file(folder.path() / "chat_template.jinja", "\n");
  EXPECT_NE(refusal().find("of chat_template.jinja (SHA-256 e3b0c442"), std::string::npos);
}

}  // namespace
}  // namespace ropewalk::test
