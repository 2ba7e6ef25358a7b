// Vicuna v1.1, what FastChat calls ADD_COLON_TWO with the separators " " and "</s>":
//
//   <s>SYSTEM USER: hi ASSISTANT: hello</s>USER: again ASSISTANT:
//
// Contents are not stripped, so a user's text that ends in a line end gives "...\n ASSISTANT:",
// which is how the model card's own prompts read. An empty content leaves the bare "USER:".
#include <string>

#include "core/abi/prompt_format.h"

namespace {

using namespace ropewalk::abi;

constexpr std::string_view kSystem =
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions.";

class Vicuna final : public PromptFormat {
 public:
  explicit Vicuna(const Options&) {}

  void default_system(TextSink& sink) const noexcept override { sink.text(kSystem); }
  Status render(std::span<const Message> messages, PieceSink& sink) const noexcept override {
    return guard([&] {
      sink.control(Control::bos);
      const bool has_system = !messages.empty() && messages[0].role == Role::system;
      sink.text(has_system ? messages[0].content : kSystem);
      sink.text(" ");
      const auto turns = messages.subspan(has_system ? 1 : 0);
      for (size_t i = 0; i < turns.size(); ++i) emit(turns[i], i, sink);
      if (turns.size() % 2 == 1) sink.text("ASSISTANT:");
    });
  }
  void stops(TextSink& sink) const noexcept override { sink.text("USER:"); }
  void release() noexcept override { delete this; }

 private:
  static void emit(const Message& turn, size_t i, PieceSink& sink) {
    const bool user = i % 2 == 0;
    if (turn.role != (user ? Role::user : Role::assistant))
      throw Failure(StatusCode::invalid_argument, "turn " + std::to_string(i + 1) + " is not the " +
                                                      (user ? "user's" : "assistant's"));
    sink.text(user ? "USER:" : "ASSISTANT:");
    if (turn.content.empty()) return;
    sink.text(" ");
    sink.text(turn.content);
    if (user)
      sink.text(" ");
    else
      sink.control(Control::eos);
  }
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, Vicuna>({
    .name = "vicuna-v1.1",
    .version = "1.0.0",
    .help = "Vicuna v1.1: SYSTEM USER: ... ASSISTANT: ...</s>",
    .source = "lm-sys/FastChat fastchat/conversation.py vicuna_v1.1",
});
