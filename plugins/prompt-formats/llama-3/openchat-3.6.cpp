// OpenChat 3.6, a Llama 3: its marks with OpenChat's names of the roles.
#include "plugins/prompt-formats/llama-3/llama_3.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr formats::Blocks kBlocks =
    formats::llama_3({"System", "GPT4 Correct User", "GPT4 Correct Assistant"});

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "openchat-3.6",
    .version = "1.0.0",
    .help = "OpenChat 3.6: as llama-3, with the roles' names of OpenChat",
    .source = "the chat template of openchat/openchat-3.6-8b-20240522",
});
