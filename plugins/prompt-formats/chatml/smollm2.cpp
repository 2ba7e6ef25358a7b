// SmolLM2: ChatML with a system text of its own where the conversation has none.
#include "plugins/prompt-formats/chatml/chatml.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr formats::Blocks kBlocks =
    formats::chatml("You are a helpful AI assistant named SmolLM, trained by Hugging Face");

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "smollm2",
    .version = "1.0.0",
    .help = "SmolLM2: ChatML with its default system text",
    .source = "the chat template of HuggingFaceTB/SmolLM2-135M-Instruct",
});
