// colon_format.h — the format that FastChat calls ADD_COLON_TWO (Vicuna, Airoboros, Alpaca):
//
//   <s>SYSTEM sep USER: hi sep ASSISTANT: hello</s>USER: again sep ASSISTANT:
//
// Contents are not stripped, so a user's text that ends in a line end gives "...\n ASSISTANT:"
// under Vicuna's separator, which is how the model card's own prompts read. An empty content leaves
// the bare role.
#pragma once

#include <array>
#include <string>

#include "plugins/prompt-formats/shared/turns.h"

namespace ropewalk::formats {

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
