// turns.h — what the formats share: the check of the roles' order, and the format that FastChat
// calls ADD_COLON_TWO (Vicuna, Airoboros, Alpaca).
#pragma once

#include <array>
#include <string>

#include "core/abi/prompt_format.h"

namespace ropewalk::formats {

// How many system messages come first, 0 or 1. Throws Failure naming the first message whose role
// is out of order: user and assistant alternate, and the user begins.
inline size_t check_turns(std::span<const abi::Message> messages) {
  const size_t first = !messages.empty() && messages[0].role == abi::Role::system ? 1 : 0;
  for (size_t i = first; i < messages.size(); ++i) {
    const bool users = (i - first) % 2 == 0;
    if (messages[i].role == (users ? abi::Role::user : abi::Role::assistant)) continue;
    throw abi::Failure(abi::StatusCode::invalid_argument,
                       "message " + std::to_string(i + 1) + " is not the " +
                           (users ? "user's" : "assistant's") + ", whose turn it is");
  }
  return first;
}

// Whether the assistant is to go on after `messages`, which check_turns() has passed.
inline bool awaits_reply(std::span<const abi::Message> messages) {
  return !messages.empty() && messages.back().role == abi::Role::user;
}

// Of formats that FastChat and models' chat templates word differently.
enum class Wording { fastchat, chat_template };

inline constexpr abi::OptionInfo kWordingOption{
    .name = "wording",
    .type = abi::OptionType::text,
    .default_value = "fastchat",
    .help = "fastchat, or chat-template: as the template in models' folders has it"};

inline Wording wording_of(const abi::Options& options) {
  const std::string_view name = options.text("wording");
  if (name == "fastchat") return Wording::fastchat;
  if (name == "chat-template") return Wording::chat_template;
  throw abi::Failure(abi::StatusCode::invalid_argument, "wording: found " + std::string(name) +
                                                            ", expected fastchat or chat-template");
}

// SYSTEM sep USER: text sep ASSISTANT: text </s> USER: ... ASSISTANT:
//
// Contents are not stripped, so a user's text that ends in a line end gives "...\n ASSISTANT:"
// under Vicuna's separator, which is how the model card's own prompts read. An empty content leaves
// the bare role.
struct ColonTurns {
  std::string_view system;  // where the conversation has none
  std::string_view user;    // "USER", without its colon
  std::string_view assistant;
  std::string_view separator;  // after the system text and each of the user's
};

inline constexpr std::array kColonOptions = {
    abi::OptionInfo{.name = "generation_suffix",
                    .type = abi::OptionType::text,
                    .default_value = ":",
                    .help = "what follows the last role's name; airoboros was trained with \": \""},
};

template <const ColonTurns& kTurns>
class ColonFormat final : public abi::PromptFormat {
 public:
  explicit ColonFormat(const abi::Options& options)
      : user_(std::string(kTurns.user) + ":"),
        assistant_(std::string(kTurns.assistant) + ":"),
        reply_(std::string(kTurns.assistant) + std::string(options.text("generation_suffix"))) {}

  void default_system(abi::TextSink& sink) const noexcept override { sink.text(kTurns.system); }
  abi::Status render(std::span<const abi::Message> messages,
                     abi::PieceSink& sink) const noexcept override {
    return abi::guard([&] {
      const size_t first = check_turns(messages);
      sink.control(abi::Control::bos);
      sink.text(first == 1 ? messages[0].content : kTurns.system);
      sink.text(kTurns.separator);
      for (const abi::Message& message : messages.subspan(first)) emit(message, sink);
      if (awaits_reply(messages)) sink.text(reply_);
    });
  }
  void stops(abi::TextSink& sink) const noexcept override {
    sink.text("</s>");
    sink.text(user_);
  }
  void release() noexcept override { delete this; }

 private:
  void emit(const abi::Message& message, abi::PieceSink& sink) const {
    const bool users = message.role == abi::Role::user;
    sink.text(users ? user_ : assistant_);
    if (message.content.empty()) return;
    sink.text(" ");
    sink.text(message.content);
    users ? sink.text(kTurns.separator) : sink.control(abi::Control::eos);
  }

  std::string user_, assistant_, reply_;
};

}  // namespace ropewalk::formats
