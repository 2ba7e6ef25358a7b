// Vicuna v1.1, what FastChat calls ADD_COLON_TWO with the separators " " and "</s>":
//
//   <s>SYSTEM USER: hi ASSISTANT: hello</s>USER: again ASSISTANT:
#include "plugins/prompt-formats/turns.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;
using ropewalk::formats::ColonTurns;

constexpr std::string_view kSystem =
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions.";
constexpr ColonTurns kTurns = {.system = kSystem,
                               .user = "USER:",
                               .assistant = "ASSISTANT:",
                               .separator = " ",
                               .reply = "ASSISTANT:"};

class Vicuna final : public PromptFormat {
 public:
  explicit Vicuna(const Options&) {}

  void default_system(TextSink& sink) const noexcept override { sink.text(kSystem); }
  Status render(std::span<const Message> messages, PieceSink& sink) const noexcept override {
    return guard([&] { formats::render(kTurns, messages, sink); });
  }
  void stops(TextSink& sink) const noexcept override {
    sink.text("</s>");
    sink.text("USER:");
  }
  void release() noexcept override { delete this; }
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, Vicuna>({
    .name = "vicuna-v1.1",
    .version = "1.0.0",
    .help = "Vicuna v1.1: SYSTEM USER: ... ASSISTANT: ...</s>",
    .source = "lm-sys/FastChat fastchat/conversation.py vicuna_v1.1",
});
