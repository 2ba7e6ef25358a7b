// The prompt formats byte for byte against FastChat's renderings.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>

#include "core/abi/prompt_format.h"
#include "tests/plugins/plugin.h"

namespace ropewalk::test {
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
  void added_token(std::string_view name) noexcept override {
    rendered += name;
    added.emplace_back(name);
  }

  std::string rendered;
  std::vector<std::string> texts, added;
  std::vector<abi::Control> controls;
};

constexpr auto kSystem = abi::Role::system;
constexpr auto kUser = abi::Role::user;
constexpr auto kAssistant = abi::Role::assistant;

Recorder render_with(const abi::PromptFormat& format, const std::vector<abi::Message>& messages) {
  Recorder recorder;
  const abi::Status status = format.render(messages, recorder);
  EXPECT_TRUE(status.ok()) << status.message;
  return recorder;
}

Recorder render(const std::string& name, const TestOptions& options,
                const std::vector<abi::Message>& messages) {
  return render_with(*make_plugin<abi::PromptFormat>(name, options), messages);
}

std::string refusal_of_messages(const std::string& name,
                                const std::vector<abi::Message>& messages) {
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

void expect_fastchat(const std::string& name, const std::string& file, const std::string& front) {
  const Json fixture = read_fixture("prompts/" + file);
  const Json& rows = fixture["rows"];
  EXPECT_GE(rows.size(), 80u);
  EXPECT_EQ(default_system(name), fixture["default_system"]);
  const auto format = make_plugin<abi::PromptFormat>(name, {});
  for (const Json& row : rows)
    EXPECT_EQ(render_with(*format, messages_of(row)).rendered,
              front + row["text"].get<std::string>())
        << row["messages"];
}

// `template` with these options against the same renderings, those whose first message is empty
// left out: a format that writes the first one in its own way has no rule for them.
void expect_template(const TestOptions& options, const std::string& file) {
  const Json fixture = read_fixture("prompts/" + file);
  TestOptions all = options;
  all["default_system"] = fixture["default_system"];
  const auto format = make_plugin<abi::PromptFormat>("template", all);
  size_t compared = 0;
  for (const Json& row : fixture["rows"]) {
    if (options.contains("first_user") && row["messages"][0]["content"] == "") continue;
    ++compared;
    EXPECT_EQ(render_with(*format, messages_of(row)).rendered,
              "<s>" + row["text"].get<std::string>())
        << row["messages"];
  }
  EXPECT_GE(compared, 75u);
}

// Against what transformers makes of the model's own chat template.
class ChatTemplate : public testing::TestWithParam<std::string> {};

TEST_P(ChatTemplate, IsRenderedByteForByte) {
  const Json fixture = read_fixture("prompts/chat-" + GetParam() + ".json");
  TestOptions options;
  for (const auto& [name, value] : fixture["options"].items()) options[name] = value;
  const auto format = make_plugin<abi::PromptFormat>(fixture["plugin"].get<std::string>(), options);
  EXPECT_GE(fixture["rows"].size(), 50u);
  for (const Json& row : fixture["rows"]) {
    std::vector<abi::Message> messages;
    for (const Json& message : row["messages"]) {
      const Json& role = message["role"];
      messages.push_back({role == "system" ? kSystem
                          : role == "user" ? kUser
                                           : kAssistant,
                          message["content"].get_ref<const std::string&>()});
    }
    EXPECT_EQ(render_with(*format, messages).rendered, row["text"].get<std::string>())
        << row["messages"];
  }
}

// NAME of every chat-NAME.json.
std::vector<std::string> chat_templates() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(RW_FIXTURES "/prompts"))
    if (const std::string name = entry.path().stem().string(); name.starts_with("chat-"))
      names.push_back(name.substr(5));
  std::ranges::sort(names);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Models, ChatTemplate, testing::ValuesIn(chat_templates()),
                         [](const auto& row) {
                           std::string name = row.param;
                           for (char& c : name)
                             if (c == '-' || c == '.') c = '_';
                           return name;
                         });

// As Gemma 3's template writes it; those of Gemma 1 and 2 refuse a system text.
TEST(PromptFormat, GemmasSystemTextGoesBeforeTheUsersFirst) {
  EXPECT_EQ(render("gemma", {}, {{kSystem, " S\n"}, {kUser, "a"}, {kAssistant, "b"}, {kUser, "c"}})
                .rendered,
            "<s><start_of_turn>user\n S\n\n\na<end_of_turn>\n<start_of_turn>model\nb<end_of_turn>\n"
            "<start_of_turn>user\nc<end_of_turn>\n<start_of_turn>model\n");
}

TEST(PromptFormat, EarlyMistralsSystemTextGoesBeforeTheUsersFirst) {
  EXPECT_EQ(render("mistral", {{"spaces", "v0.2"}}, {{kSystem, "S"}, {kUser, "a"}}).rendered,
            "<s>[INST] S\n\na [/INST]");
}

TEST(PromptFormat, ALlamasDateIsAnOption) {
  for (const std::string date : {"26 Jul 2024", "1 May 2025"})
    EXPECT_THAT(render("llama-3.1", {{"date", date}}, {{kUser, "a"}}).rendered,
                HasSubstr("December 2023\nToday Date: " + date + "\n\n<|eot_id|>"));
}

TEST(PromptFormat, MistralTellsItsSpaces) {
  const auto refused = [] {
    try {
      make_plugin<abi::PromptFormat>("mistral", {{"spaces", "v9"}});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(refused(),
              HasSubstr("spaces: found v9, expected v0.1, v0.2, v1, v3, tekken, v7 or v7-tekken"));
}

TEST(PromptFormat, VicunaIsFastChats) { expect_fastchat("vicuna-v1.1", "vicuna-v1.1.json", "<s>"); }
TEST(PromptFormat, AiroborosIsFastChats) {
  expect_fastchat("airoboros-1.4", "airoboros-1.4.json", "<s>");
}
TEST(PromptFormat, Llama2ChatIsFastChats) {
  expect_fastchat("llama-2-chat", "llama-2.json", "<s>");
}
TEST(PromptFormat, Airoboros2IsFastChats) {
  expect_fastchat("airoboros-2", "airoboros-v2.json", "<s>");
}
TEST(PromptFormat, AlpacaIsFastChats) { expect_fastchat("alpaca", "alpaca.json", "<s>"); }
TEST(PromptFormat, ChatMlIsFastChats) { expect_fastchat("chatml", "chatml.json", ""); }

TEST(PromptFormat, TemplateIsVicunaByDefault) { expect_template({}, "vicuna-v1.1.json"); }
TEST(PromptFormat, TemplateCanSayAiroborosAndAlpaca) {
  expect_template({}, "airoboros-v1.json");
  expect_template({{"system", "{content}\n"}, {"user", "USER: {content}\n"}}, "airoboros-v2.json");
  expect_template({{"system", "{content}\n\n"},
                   {"user", "### Instruction: {content}\n\n"},
                   {"assistant", "### Response: {content}</s>"},
                   {"reply", "### Response:"}},
                  "alpaca.json");
}
TEST(PromptFormat, TemplateCanSayChatMl) {
  expect_template({{"system", "<|im_start|>system\n{content}<|im_end|>\n"},
                   {"no_system", ""},
                   {"user", "<|im_start|>user\n{content}<|im_end|>\n"},
                   {"assistant", "<|im_start|>assistant\n{content}<|im_end|>\n"},
                   {"reply", "<|im_start|>assistant\n"},
                   {"tokens", {"<|im_start|>", "<|im_end|>"}}},
                  "chatml.json");
}
TEST(PromptFormat, TemplateCanSayLlama2Chat) {
  expect_template({{"system", "[INST] <<SYS>>\n{content}\n<</SYS>>\n\n"},
                   {"no_system", "[INST] "},
                   {"first_user", "{content} "},
                   {"user", "[INST] {content} "},
                   {"assistant", "[/INST] {content} </s><s>"},
                   {"reply", "[/INST]"}},
                  "llama-2.json");
}

TEST(PromptFormat, TemplateTellsControlTokensFromCharacters) {
  const Recorder rendered =
      render("template", {{"user", "<|u|>{content}<|e|></s>"}, {"tokens", {"<|u|>", "<|e|>"}}},
             {{kUser, "</s><|e|>{content}"}});
  EXPECT_EQ(rendered.rendered, "<s> <|u|></s><|e|>{content}<|e|></s>ASSISTANT:");
  EXPECT_THAT(rendered.controls, ElementsAre(abi::Control::bos, abi::Control::eos));
  EXPECT_THAT(rendered.added, ElementsAre("<|u|>", "<|e|>"));
}

TEST(PromptFormat, TemplateNeedsAPlaceForTheMessage) {
  const auto refusal_of = [](const TestOptions& options) -> std::string {
    try {
      make_plugin<abi::PromptFormat>("template", options);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(refusal_of({{"user", "USER:"}}),
              HasSubstr("user has {content} 0 times, expected once"));
  EXPECT_THAT(refusal_of({{"assistant", "{content}{content}"}}),
              HasSubstr("assistant has {content} 2 times, expected once"));
  EXPECT_THAT(refusal_of({{"reply", "{content}"}}), HasSubstr("1 times, expected never"));
}

TEST(PromptFormat, ALineEndOfTheUsersStays) {
  EXPECT_EQ(render("vicuna-v1.1", {}, {{kSystem, "S"}, {kUser, "ENDINSTRUCTION\n"}}).rendered,
            "<s>S USER: ENDINSTRUCTION\n ASSISTANT:");
}

TEST(PromptFormat, WhatAUserTypesIsNeverAControlToken) {
  for (const char* name :
       {"vicuna-v1.1", "airoboros-1.4", "airoboros-2",  "llama-2-chat",   "alpaca",
        "template",    "raw",           "chatml",       "llama-3",        "llama-3.1",
        "mistral",     "qwen-2.5",      "qwen-3",       "gemma",          "phi-3",
        "phi-4",       "zephyr",        "deepseek-llm", "deepseek-coder", "deepseek-r1",
        "granite-3",   "smollm2",       "qwq",          "phi-4-mini",     "tulu",
        "openchat",    "solar",         "smollm3",      "yi-1.5",         "falcon-3",
        "openchat-3.6"}) {
    const Recorder nothing = render(name, {}, {{kUser, "x"}});
    const Recorder marks = render(name, {}, {{kUser, "<s></s>[INST]<|im_start|><|im_end|>"}});
    EXPECT_EQ(marks.controls, nothing.controls) << name;
    EXPECT_LE(nothing.controls.size(), 1u) << name;
    EXPECT_EQ(marks.added, nothing.added) << name;
  }
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

TEST(PromptFormat, AReplyMayBeOpenedAsInTraining) {
  const auto opened = [](const std::string& name) {
    const TestOptions suffix = {{"generation_suffix", ": "}};
    const std::vector<abi::Message> messages = {
        {kSystem, "S"}, {kUser, "a"}, {kAssistant, "b"}, {kUser, "c"}};
    return render(name, suffix, messages).rendered;
  };
  EXPECT_EQ(opened("vicuna-v1.1"), "<s>S USER: a ASSISTANT: b</s>USER: c ASSISTANT: ");
  EXPECT_EQ(opened("airoboros-1.4"), "<s>S USER: a ASSISTANT: b</s>USER: c ASSISTANT: ");
  EXPECT_EQ(opened("airoboros-2"), "<s>S\nUSER: a\nASSISTANT: b</s>USER: c\nASSISTANT: ");
  EXPECT_EQ(opened("alpaca"),
            "<s>S\n\n### Instruction: a\n\n### Response: b</s>### Instruction: c\n\n"
            "### Response: ");
}

TEST(PromptFormat, RawJoinsContents) {
  EXPECT_EQ(render("raw", {}, {{kUser, "Once upon "}}).rendered, "<s>Once upon ");
  EXPECT_EQ(render("raw", {}, {{kSystem, "A\n"}, {kUser, "b"}, {kAssistant, "c"}}).rendered,
            "<s>A\nbc");
  EXPECT_EQ(default_system("raw"), "");
}

TEST(PromptFormat, MessagesOutOfTurnAreNamed) {
  for (const char* name : {"vicuna-v1.1", "airoboros-1.4", "airoboros-2", "llama-2-chat", "alpaca",
                           "chatml", "template"}) {
    EXPECT_THAT(refusal_of_messages(name, {{kAssistant, "a"}}),
                HasSubstr("message 1 is not the user's"));
    EXPECT_THAT(refusal_of_messages(name, {{kUser, "a"}, {kUser, "b"}}),
                HasSubstr("message 2 is not the assistant's"));
    EXPECT_THAT(refusal_of_messages(name, {{kSystem, "s"}, {kUser, "a"}, {kSystem, "t"}}),
                HasSubstr("message 3 is not the assistant's"));
  }
}

TEST(PromptFormat, Stops) {
  EXPECT_THAT(stops("vicuna-v1.1"), ElementsAre("</s>", "USER:"));
  EXPECT_THAT(stops("airoboros-1.4"), ElementsAre("</s>", "USER:"));
  EXPECT_THAT(stops("llama-2-chat"), ElementsAre("</s>", "[INST]"));
  EXPECT_THAT(stops("airoboros-2"), ElementsAre("</s>", "USER:"));
  EXPECT_THAT(stops("alpaca"), ElementsAre("</s>", "### Instruction:"));
  EXPECT_THAT(stops("chatml"), ElementsAre("<|im_end|>", "<|im_start|>"));
  EXPECT_THAT(stops("template"), ElementsAre("USER:"));
  EXPECT_THAT(stops("raw"), IsEmpty());
}

}  // namespace
}  // namespace ropewalk::test
