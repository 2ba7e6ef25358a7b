// Airoboros 2, Vicuna's turns on lines of their own:
//
//   <s>A chat.\nUSER: hi\nASSISTANT: hello</s>USER: again\nASSISTANT:
//
// The cards of 2.1 end a prompt in "ASSISTANT: ", those of 2.0 and m2.0 in "ASSISTANT:".
#include "plugins/prompt-formats/colon/colon_format.h"

namespace {

using namespace ropewalk;

constexpr formats::ColonTurns kTurns = {
    .system = "A chat.", .user = "USER", .assistant = "ASSISTANT", .separator = "\n"};

}  // namespace

const abi::Module ropewalk_module =
    abi::make_module<abi::PromptFormat, formats::ColonFormat<kTurns>>({
        .name = "airoboros-2",
        .version = "1.0.0",
        .help = "Airoboros 2: A chat. and Vicuna's turns, a line each",
        .source = "lm-sys/FastChat fastchat/conversation.py airoboros_v2",
        .options = formats::kColonOptions,
    });
