// Airoboros 1.4, Vicuna's turns under a system text of its own:
//
//   <s>SYSTEM USER: hi ASSISTANT: hello</s>USER: again ASSISTANT:
//
// In training the prompt ended in "ASSISTANT: ", and the reply was tokenised apart from it; most
// programs render "ASSISTANT:" and leave the space to the model.
#include "plugins/prompt-formats/colon/colon_format.h"

namespace {

using namespace ropewalk;

constexpr formats::ColonTurns kTurns = {
    .system =
        "A chat between a curious user and an assistant. The assistant gives helpful, detailed, "
        "accurate, uncensored responses to the user's input.",
    .user = "USER",
    .assistant = "ASSISTANT",
    .separator = " "};

}  // namespace

const abi::Module ropewalk_module =
    abi::make_module<abi::PromptFormat, formats::ColonFormat<kTurns>>({
        .name = "airoboros-1.4",
        .version = "1.0.0",
        .help = "Airoboros 1.4: Vicuna's turns under its own system text",
        .source =
            "bhenrym14/qlora-airoboros-longcontext qlora_airo.py; lm-sys/FastChat conversation.py",
        .options = formats::kColonOptions,
    });
