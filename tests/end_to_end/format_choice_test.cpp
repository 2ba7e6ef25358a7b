// `prompt.format: auto`: the format that is proved to write what a model's chat template writes.
#include "core/engine/format_choice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "core/engine/known_formats.h"
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

// Whether a fixture was rendered from the template with this hash, or from one that renders alike.
bool is_of(const Json& fixture, std::string_view hash) {
  const auto begins = [&](const Json& head) {
    return head["normalised_sha256"].get<std::string>().starts_with(hash);
  };
  return begins(fixture) ||
         (fixture.contains("also") && std::ranges::any_of(fixture["also"], begins));
}

std::map<std::string, std::string> options_of(const Json& fixture) {
  std::map<std::string, std::string> texts;
  for (const auto& [name, value] : fixture["options"].items())
    texts[name] = value.is_string() ? value.get<std::string>() : value.dump();
  return texts;
}

TEST(KnownFormats, EachIsProvedByAFixture) {
  const std::vector<Json> all = proofs();
  EXPECT_GE(all.size(), 30u);
  for (const KnownFormat& known : known_formats()) {
    std::map<std::string, std::string> options;
    for (const auto& [name, value] : known.options) options.emplace(name, value);
    EXPECT_TRUE(std::ranges::any_of(all,
                                    [&](const Json& fixture) {
                                      return is_of(fixture, known.hash) &&
                                             fixture["plugin"] == known.format &&
                                             options_of(fixture) == options;
                                    }))
        << known.format << " " << known.hash;
  }
}

TEST(KnownFormats, EachTemplateStandsOnce) {
  std::set<std::string_view> hashes;
  for (const KnownFormat& known : known_formats()) {
    EXPECT_EQ(known.hash.size(), 16u) << known.hash;
    EXPECT_TRUE(hashes.insert(known.hash).second) << known.hash;
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

// Without a format where it is empty.
Config config_of(const std::filesystem::path& model, const std::string& format) {
  Config config;
  config.model = model;
  if (!format.empty()) config.prompt.format = PluginChoice{.name = format, .key = "prompt.format"};
  return config;
}

TEST(FormatChoice, AFormatThatIsNamedIsTaken) {
  EXPECT_EQ(choose_format(config_of("/nowhere", "vicuna-v1.1")).plugin.name, "vicuna-v1.1");
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

// What a run says of it.
std::string said_of(const FormatChoice& choice) {
  testing::internal::CaptureStderr();
  tell_of_format(choice);
  return testing::internal::GetCapturedStderr();
}

TEST(FormatChoice, WithoutANameNothingIsRefused) {
  const TemporaryFolder folder;
  const Config config = config_of(folder.path(), "");
  const auto expect_raw = [&](FormatSource source, const std::string& said) {
    const FormatChoice choice = choose_format(config);
    EXPECT_EQ(choice.plugin.name, "raw");
    EXPECT_EQ(choice.source, source);
    EXPECT_EQ(said_of(choice), said);
  };
  expect_raw(FormatSource::nothing, "");
  write_file(folder.path() / "tokenizer_config.json", R"({"chat_template": "a\n\tb"})");
  expect_raw(FormatSource::unknown_template,
             "warning: prompts are raw text, because no format is known for the chat template of "
             "tokenizer_config.json (SHA-256 "
             "07784d120e6762ac0099528b31f41ebfda1e7534fbca2239f9cc31c04deab0a3). Name a format in "
             "prompt.format; `ropewalk plugins prompt-formats` lists them, or raw\n");
  write_file(folder.path() / "tokenizer_config.json", R"({"chat_template": [{"name": "tools"}]})");
  const FormatChoice unread = choose_format(config);
  EXPECT_EQ(unread.source, FormatSource::unknown_template);
  EXPECT_NE(said_of(unread).find("has no template named \"default\""), std::string::npos);
}

TEST(FormatChoice, WithoutANameAKnownTemplateChooses) {
  const TemporaryFolder folder;
  std::filesystem::copy_file(RW_FIXTURES "/prompts/zephyr.jinja",
                             folder.path() / "chat_template.jinja");
  const FormatChoice choice = choose_format(config_of(folder.path(), ""));
  EXPECT_EQ(choice.plugin.name, "zephyr");
  EXPECT_EQ(choice.source, FormatSource::chat_template);
  EXPECT_EQ(said_of(choice),
            "note: prompt format zephyr, by the chat template of chat_template.jinja; "
            "prompt.format names another\n");
  EXPECT_EQ(choose_format(config_of(folder.path(), "auto")).plugin.name, "zephyr");
  EXPECT_EQ(said_of(choose_format(config_of(folder.path(), "raw"))), "");
}

}  // namespace
}  // namespace ropewalk::test
