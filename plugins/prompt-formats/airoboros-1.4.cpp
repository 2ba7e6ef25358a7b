// Airoboros 1.4, Vicuna's turns under a system text of its own:
//
//   <s>SYSTEM USER: hi ASSISTANT: hello</s>USER: again ASSISTANT:
//
// In training the prompt ended in "ASSISTANT: ", and the reply was tokenised apart from it; most
// programs render "ASSISTANT:" and leave the space to the model. Hence the option.
#include <array>
#include <string>

#include "core/abi/prompt_format.h"

namespace {

using namespace ropewalk::abi;

constexpr std::string_view kSystem =
    "A chat between a curious user and an assistant. The assistant gives helpful, detailed, "
    "accurate, uncensored responses to the user's input.";
constexpr std::array kOptions = {
    OptionInfo{.name = "generation_suffix",
               .type = OptionType::text,
               .default_value = ":",
               .help = "what follows the last ASSISTANT, \":\" or the training's \": \""},
};

class Airoboros final : public PromptFormat {
 public:
  explicit Airoboros(const Options& options) : suffix_(options.text("generation_suffix")) {}

  void default_system(TextSink& sink) const noexcept override { sink.text(kSystem); }
  Status render(std::span<const Message> messages, PieceSink& sink) const noexcept override {
    return guard([&] {
      const size_t first = !messages.empty() && messages[0].role == Role::system ? 1 : 0;
      sink.control(Control::bos);
      sink.text(first == 1 ? messages[0].content : kSystem);
      sink.text(" ");
      Role turn = Role::user;
      for (size_t i = first; i < messages.size(); ++i) {
        if (messages[i].role != turn) refuse(i, turn);
        emit(messages[i], sink);
        turn = turn == Role::user ? Role::assistant : Role::user;
      }
      if (turn == Role::user) return;
      sink.text("ASSISTANT");
      sink.text(suffix_);
    });
  }
  void stops(TextSink& sink) const noexcept override {
    sink.text("</s>");
    sink.text("USER:");
  }
  void release() noexcept override { delete this; }

 private:
  [[noreturn]] static void refuse(size_t index, Role expected) {
    throw Failure(StatusCode::invalid_argument,
                  "message " + std::to_string(index + 1) + " is not the " +
                      (expected == Role::user ? "user's" : "assistant's") + ", whose turn it is");
  }
  static void emit(const Message& message, PieceSink& sink) {
    const bool user = message.role == Role::user;
    sink.text(user ? "USER:" : "ASSISTANT:");
    if (message.content.empty()) return;
    sink.text(" ");
    sink.text(message.content);
    user ? sink.text(" ") : sink.control(Control::eos);
  }

  std::string suffix_;
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, Airoboros>({
    .name = "airoboros-1.4",
    .version = "1.0.0",
    .help = "Airoboros 1.4: Vicuna's turns under its own system text",
    .source =
        "bhenrym14/qlora-airoboros-longcontext qlora_airo.py; lm-sys/FastChat conversation.py",
    .options = kOptions,
});
