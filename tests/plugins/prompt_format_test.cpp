// The prompt formats byte for byte against FastChat's renderings.
#include <gmock/gmock.h>

#include "core/abi/prompt_format.h"
#include "tests/plugins/plugin.h"

namespace ropewalk {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// What a format emits, as text and as one entry for each control token.
class Recorder final : public abi::PieceSink, public abi::TextSink {
 public:
  void text(std::string_view utf8) noexcept override {
    rendered += utf8;
    texts.emplace_back(utf8);
  }
  void control(abi::Control token) noexcept override {
    rendered += token == abi::Control::bos ? "<s>" : "</s>";
    controls.push_back(token);
  }
  void added_token(std::string_view) noexcept override { ADD_FAILURE() << "an added token"; }

  std::string rendered;
  std::vector<std::string> texts;
  std::vector<abi::Control> controls;
};

constexpr auto kSystem = abi::Role::system;
constexpr auto kUser = abi::Role::user;
constexpr auto kAssistant = abi::Role::assistant;

Recorder render(const std::string& name, const TestOptions& options,
                const std::vector<abi::Message>& messages) {
  Recorder recorder;
  const abi::Status status =
      make_plugin<abi::PromptFormat>(name, options)->render(messages, recorder);
  EXPECT_TRUE(status.ok()) << status.message;
  return recorder;
}

std::string refusal(const std::string& name, const std::vector<abi::Message>& messages) {
  Recorder recorder;
  const abi::Status status = make_plugin<abi::PromptFormat>(name, {})->render(messages, recorder);
  EXPECT_EQ(status.code, abi::StatusCode::invalid_argument);
  return status.message;
}

std::string default_system(const std::string& name) {
  Recorder recorder;
  make_plugin<abi::PromptFormat>(name, {})->default_system(recorder);
  return recorder.rendered;
}

std::vector<std::string> stops(const std::string& name) {
  Recorder recorder;
  make_plugin<abi::PromptFormat>(name, {})->stops(recorder);
  return recorder.texts;
}

// The rows' messages; the system text "default" stands for no system message.
std::vector<abi::Message> messages_of(const Json& row) {
  std::vector<abi::Message> messages;
  const auto& system = row["system"].get_ref<const std::string&>();
  if (system != "default") messages.push_back({kSystem, system});
  for (const Json& message : row["messages"])
    messages.push_back({message["role"] == "user" ? kUser : kAssistant,
                        message["content"].get_ref<const std::string&>()});
  return messages;
}

void expect_fastchat(const std::string& name, const std::string& file) {
  const Json fixture = read_fixture("prompts/" + file);
  const Json& rows = fixture["rows"];
  EXPECT_GE(rows.size(), 80u);
  EXPECT_EQ(default_system(name), fixture["default_system"]);
  for (const Json& row : rows)
    EXPECT_EQ(render(name, {}, messages_of(row)).rendered, "<s>" + row["text"].get<std::string>())
        << row["messages"];
}

TEST(PromptFormat, VicunaIsFastChats) { expect_fastchat("vicuna-v1.1", "vicuna-v1.1.json"); }
TEST(PromptFormat, AiroborosIsFastChats) { expect_fastchat("airoboros-1.4", "airoboros-1.4.json"); }
TEST(PromptFormat, Llama2ChatIsFastChats) { expect_fastchat("llama-2-chat", "llama-2.json"); }

TEST(PromptFormat, ALineEndOfTheUsersStays) {
  EXPECT_EQ(render("vicuna-v1.1", {}, {{kSystem, "S"}, {kUser, "ENDINSTRUCTION\n"}}).rendered,
            "<s>S USER: ENDINSTRUCTION\n ASSISTANT:");
}

TEST(PromptFormat, WhatAUserTypesIsNeverAControlToken) {
  for (const char* name : {"vicuna-v1.1", "airoboros-1.4", "llama-2-chat", "raw"})
    EXPECT_THAT(render(name, {}, {{kUser, "<s></s>[INST]<|im_end|>"}}).controls,
                ElementsAre(abi::Control::bos))
        << name;
}

TEST(PromptFormat, ARepliesEndIsAControlToken) {
  const std::vector<abi::Message> turns = {{kUser, "a"}, {kAssistant, "b"}, {kUser, "c"}};
  EXPECT_THAT(render("vicuna-v1.1", {}, turns).controls,
              ElementsAre(abi::Control::bos, abi::Control::eos));
  EXPECT_THAT(render("llama-2-chat", {}, turns).controls,
              ElementsAre(abi::Control::bos, abi::Control::eos, abi::Control::bos));
}

TEST(PromptFormat, AfterTheAssistantsMessageNothingIsOpened) {
  EXPECT_EQ(render("vicuna-v1.1", {}, {{kSystem, "S"}, {kUser, "a"}, {kAssistant, "b"}}).rendered,
            "<s>S USER: a ASSISTANT: b</s>");
}

TEST(PromptFormat, AiroborosTakesTheTrainingsTrailingSpace) {
  EXPECT_EQ(render("airoboros-1.4", {{"generation_suffix", ": "}}, {{kSystem, "S"}, {kUser, "a"}})
                .rendered,
            "<s>S USER: a ASSISTANT: ");
}

TEST(PromptFormat, RawJoinsContents) {
  EXPECT_EQ(render("raw", {}, {{kUser, "Once upon "}}).rendered, "<s>Once upon ");
  EXPECT_EQ(render("raw", {}, {{kSystem, "A\n"}, {kUser, "b"}, {kAssistant, "c"}}).rendered,
            "<s>A\nbc");
  EXPECT_EQ(default_system("raw"), "");
}

TEST(PromptFormat, MessagesOutOfTurnAreNamed) {
  for (const char* name : {"vicuna-v1.1", "airoboros-1.4", "llama-2-chat"}) {
    EXPECT_THAT(refusal(name, {{kAssistant, "a"}}), HasSubstr("message 1 is not the user's"));
    EXPECT_THAT(refusal(name, {{kUser, "a"}, {kUser, "b"}}),
                HasSubstr("message 2 is not the assistant's"));
    EXPECT_THAT(refusal(name, {{kSystem, "s"}, {kUser, "a"}, {kSystem, "t"}}),
                HasSubstr("message 3 is not the assistant's"));
  }
}

TEST(PromptFormat, Stops) {
  EXPECT_THAT(stops("vicuna-v1.1"), ElementsAre("</s>", "USER:"));
  EXPECT_THAT(stops("airoboros-1.4"), ElementsAre("</s>", "USER:"));
  EXPECT_THAT(stops("llama-2-chat"), ElementsAre("</s>", "[INST]"));
  EXPECT_THAT(stops("raw"), IsEmpty());
}

}  // namespace
}  // namespace ropewalk
