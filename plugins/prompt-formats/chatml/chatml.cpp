// ChatML (one text, cut here into two lines):
//
//   <|im_start|>system\nSYSTEM<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n
//   <|im_start|>assistant\n
//
// BOS stands in front only where the tokenizer adds one, or by the option `bos`: SmolLM2's is
// <|im_start|> itself, and would be there twice. The marks are tokens that the model added to its
// vocabulary; where it has none they are text. No system text, no system block. An empty content
// leaves the bare role in FastChat's wording, and is a block like any other in that of models' chat
// templates.
#include <array>
#include <string>

#include "plugins/prompt-formats/chatml/chatml.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr std::array kOptions = {
    formats::kWordingOption,
    formats::kDefaultSystemOption,
    OptionInfo{.name = "bos",
               .type = OptionType::boolean,
               .default_value = "false",
               .help = "true: BOS stands in front whatever the tokenizer adds"},
};

class ChatMl final : public PromptFormat {
 public:
  explicit ChatMl(const Options& options)
      : wording_(formats::wording_of(options)),
        default_system_(options.text("default_system")),
        bos_(options.boolean("bos")) {}

  void default_system(TextSink& sink) const noexcept override { sink.text(default_system_); }
  Status render(std::span<const Message> messages, PieceSink& sink) const noexcept override {
    return guard([&] {
      const size_t first = formats::check_turns(messages);
      const std::string_view system = first == 1 ? messages[0].content : default_system_;
      if (bos_) sink.control(Control::bos);
      if (!system.empty()) emit("system", system, sink);
      for (const Message& message : messages.subspan(first))
        emit(message.role == Role::user ? "user" : "assistant", message.content, sink);
      if (formats::awaits_reply(messages)) formats::open_chatml("assistant", sink);
    });
  }
  void stops(TextSink& sink) const noexcept override {
    sink.text(formats::kChatmlEnd);
    sink.text(formats::kChatmlStart);
  }
  void release() noexcept override { delete this; }

 private:
  void emit(std::string_view role, std::string_view content, PieceSink& sink) const {
    formats::open_chatml(role, sink);
    if (content.empty() && wording_ == formats::Wording::fastchat) return;
    sink.text(content);
    formats::close_chatml(sink);
  }

  formats::Wording wording_;
  std::string default_system_;
  bool bos_;
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, ChatMl>({
    .name = "chatml",
    .version = "1.0.0",
    .help = "ChatML: <|im_start|>user ... <|im_end|>",
    .source = "lm-sys/FastChat fastchat/conversation.py CHATML; openai/openai-python chatml.md",
    .options = kOptions,
});
