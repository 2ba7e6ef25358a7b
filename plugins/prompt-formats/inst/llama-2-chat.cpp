// Llama 2 Chat:
//
//   <s>[INST] <<SYS>>\nSYSTEM\n<</SYS>>\n\nhi [/INST] hello </s><s>[INST] again [/INST]
//
// Without a system text the first turn is "[INST] hi". In FastChat's wording an empty content
// leaves the bare tag; in that of the model's chat template contents are stripped, and all spaces
// stay.
#include <array>
#include <string>

#include "plugins/prompt-formats/shared/options.h"
#include "plugins/prompt-formats/shared/trim.h"
#include "plugins/prompt-formats/shared/turns.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr std::array kOptions = {formats::kWordingOption};

class Llama2Chat final : public PromptFormat {
 public:
  explicit Llama2Chat(const Options& options) : wording_(formats::wording_of(options)) {}

  void default_system(TextSink&) const noexcept override {}
  Status render(std::span<const Message> messages, PieceSink& sink) const noexcept override {
    return guard([&] {
      const size_t first = formats::check_turns(messages);
      if (wording_ == formats::Wording::chat_template) return emit_stripped(messages, first, sink);
      sink.control(Control::bos);
      sink.text("[INST] ");
      if (first == 1) emit_system(messages[0].content, sink);
      for (size_t i = first; i < messages.size(); ++i) {
        if (i == first && !messages[i].content.empty()) {
          sink.text(messages[i].content);
          sink.text(" ");
        } else {
          emit(messages[i], sink);
        }
      }
      if (formats::awaits_reply(messages)) sink.text("[/INST]");
    });
  }
  void stops(TextSink& sink) const noexcept override {
    sink.text("</s>");
    sink.text("[INST]");
  }
  void release() noexcept override { delete this; }

 private:
  static void emit_stripped(std::span<const Message> messages, size_t first, PieceSink& sink) {
    std::string system;
    if (first == 1) system = "<<SYS>>\n" + std::string(messages[0].content) + "\n<</SYS>>\n\n";
    for (size_t i = first; i < messages.size(); ++i) {
      const bool user = messages[i].role == Role::user;
      const std::string content = (i == first ? system : "") + std::string(messages[i].content);
      if (user) sink.control(Control::bos);
      sink.text(user ? "[INST] " : " ");
      sink.text(formats::trimmed(content));
      sink.text(user ? " [/INST]" : " ");
      if (!user) sink.control(Control::eos);
    }
  }
  static void emit_system(std::string_view content, PieceSink& sink) {
    if (content.empty()) return;
    sink.text("<<SYS>>\n");
    sink.text(content);
    sink.text("\n<</SYS>>\n\n");
  }
  static void emit(const Message& message, PieceSink& sink) {
    const bool user = message.role == Role::user;
    sink.text(user ? "[INST]" : "[/INST]");
    if (message.content.empty()) return;
    sink.text(" ");
    sink.text(message.content);
    sink.text(" ");
    if (user) return;
    sink.control(Control::eos);
    sink.control(Control::bos);
  }

  formats::Wording wording_;
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, Llama2Chat>({
    .name = "llama-2-chat",
    .version = "1.0.0",
    .help = "Llama 2 Chat: [INST] <<SYS>> ... [/INST] ...",
    .source = "lm-sys/FastChat fastchat/conversation.py llama-2; meta-llama/llama generation.py",
    .options = kOptions,
});
