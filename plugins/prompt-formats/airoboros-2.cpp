// Airoboros 2, Vicuna's turns on lines of their own:
//
//   <s>A chat.\nUSER: hi\nASSISTANT: hello</s>USER: again\nASSISTANT:
//
// The cards of 2.1 end a prompt in "ASSISTANT: ", those of 2.0 and m2.0 in "ASSISTANT:".
#include <array>
#include <string>

#include "plugins/prompt-formats/turns.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;
using ropewalk::formats::ColonTurns;

constexpr std::string_view kSystem = "A chat.";
constexpr ColonTurns kTurns = {
    .system = kSystem, .user = "USER:", .assistant = "ASSISTANT:", .separator = "\n", .reply = ""};

constexpr std::array kOptions = {
    OptionInfo{.name = "generation_suffix",
               .type = OptionType::text,
               .default_value = ":",
               .help = "what follows the last ASSISTANT, \":\" or the training's \": \""},
};

class Airoboros final : public PromptFormat {
 public:
  explicit Airoboros(const Options& options)
      : reply_("ASSISTANT" + std::string(options.text("generation_suffix"))) {}

  void default_system(TextSink& sink) const noexcept override { sink.text(kSystem); }
  Status render(std::span<const Message> messages, PieceSink& sink) const noexcept override {
    return guard([&] {
      ColonTurns turns = kTurns;
      turns.reply = reply_;
      formats::render(turns, messages, sink);
    });
  }
  void stops(TextSink& sink) const noexcept override {
    sink.text("</s>");
    sink.text("USER:");
  }
  void release() noexcept override { delete this; }

 private:
  std::string reply_;
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, Airoboros>({
    .name = "airoboros-2",
    .version = "1.0.0",
    .help = "Airoboros 2: A chat. and Vicuna's turns, a line each",
    .source = "lm-sys/FastChat fastchat/conversation.py airoboros_v2",
    .options = kOptions,
});
