// Vicuna v1.1:
//
//   <s>SYSTEM USER: hi ASSISTANT: hello</s>USER: again ASSISTANT:
#include "plugins/prompt-formats/colon/colon_format.h"

namespace {

using namespace ropewalk;

constexpr formats::ColonTurns kTurns = {
    .system =
        "A chat between a curious user and an artificial intelligence assistant. The assistant "
        "gives helpful, detailed, and polite answers to the user's questions.",
    .user = "USER",
    .assistant = "ASSISTANT",
    .separator = " "};

}  // namespace

const abi::Module ropewalk_module =
    abi::make_module<abi::PromptFormat, formats::ColonFormat<kTurns>>({
        .name = "vicuna-v1.1",
        .version = "1.0.0",
        .help = "Vicuna v1.1: SYSTEM USER: ... ASSISTANT: ...</s>",
        .source = "lm-sys/FastChat fastchat/conversation.py vicuna_v1.1",
        .options = formats::kColonOptions,
    });
