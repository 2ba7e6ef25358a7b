// Airoboros 1.4, Vicuna's turns under a system text of its own:
//
//   <s>SYSTEM USER: hi ASSISTANT: hello</s>USER: again ASSISTANT:
//
// In training the prompt ended in "ASSISTANT: ", and the reply was tokenised apart from it; most
// programs render "ASSISTANT:" and leave the space to the model. Hence the option.
#include <array>
#include <string>

#include "plugins/prompt-formats/turns.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;
using ropewalk::formats::ColonTurns;

constexpr std::string_view kSystem =
    "A chat between a curious user and an assistant. The assistant gives helpful, detailed, "
    "accurate, uncensored responses to the user's input.";
constexpr ColonTurns kTurns = {
    .system = kSystem, .user = "USER:", .assistant = "ASSISTANT:", .separator = " ", .reply = ""};

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
    .name = "airoboros-1.4",
    .version = "1.0.0",
    .help = "Airoboros 1.4: Vicuna's turns under its own system text",
    .source =
        "bhenrym14/qlora-airoboros-longcontext qlora_airo.py; lm-sys/FastChat conversation.py",
    .options = kOptions,
});
