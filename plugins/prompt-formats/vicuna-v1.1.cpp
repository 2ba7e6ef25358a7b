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
      if (turn == Role::assistant) sink.text("ASSISTANT:");
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
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, Vicuna>({
    .name = "vicuna-v1.1",
    .version = "1.0.0",
    .help = "Vicuna v1.1: SYSTEM USER: ... ASSISTANT: ...</s>",
    .source = "lm-sys/FastChat fastchat/conversation.py vicuna_v1.1",
});
