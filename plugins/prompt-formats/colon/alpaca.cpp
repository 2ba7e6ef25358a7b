// Alpaca, as FastChat has it (one text, cut here into two lines):
//
//   <s>SYSTEM\n\n### Instruction: hi\n\n### Response: hello</s>
//   ### Instruction: again\n\n### Response:
//
// Stanford's own has a line end after "### Instruction:", which `template` can say.
#include "plugins/prompt-formats/colon/colon_format.h"

namespace {

using namespace ropewalk;

constexpr formats::ColonTurns kTurns = {
    .system =
        "Below is an instruction that describes a task. Write a response that appropriately "
        "completes the request.",
    .user = "### Instruction",
    .assistant = "### Response",
    .separator = "\n\n"};

}  // namespace

const abi::Module ropewalk_module =
    abi::make_module<abi::PromptFormat, formats::ColonFormat<kTurns>>({
        .name = "alpaca",
        .version = "1.0.0",
        .help = "Alpaca: ### Instruction: ... ### Response: ...",
        .source = "lm-sys/FastChat fastchat/conversation.py alpaca",
        .options = formats::kColonOptions,
    });
