// Alpaca, as FastChat has it:
//
//   <s>SYSTEM\n\n### Instruction: hi\n\n### Response: hello</s>### Instruction: again\n\n###
//   Response:
//
// Stanford's own has a line end after "### Instruction:", which `template` can say.
#include "plugins/prompt-formats/turns.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;
using ropewalk::formats::ColonTurns;

constexpr std::string_view kSystem =
    "Below is an instruction that describes a task. Write a response that appropriately completes "
    "the request.";
constexpr ColonTurns kTurns = {.system = kSystem,
                               .user = "### Instruction:",
                               .assistant = "### Response:",
                               .separator = "\n\n",
                               .reply = "### Response:"};

class Alpaca final : public PromptFormat {
 public:
  explicit Alpaca(const Options&) {}

  void default_system(TextSink& sink) const noexcept override { sink.text(kSystem); }
  Status render(std::span<const Message> messages, PieceSink& sink) const noexcept override {
    return guard([&] { formats::render(kTurns, messages, sink); });
  }
  void stops(TextSink& sink) const noexcept override {
    sink.text("</s>");
    sink.text("### Instruction:");
  }
  void release() noexcept override { delete this; }
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, Alpaca>({
    .name = "alpaca",
    .version = "1.0.0",
    .help = "Alpaca: ### Instruction: ... ### Response: ...",
    .source = "lm-sys/FastChat fastchat/conversation.py alpaca",
});
