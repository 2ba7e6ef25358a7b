// Qwen 2.5: ChatML with a system text of its own where the conversation has none. Qwen 1.5 and 2
// say "You are a helpful assistant." there: give it as prompt.system.
#include "plugins/prompt-formats/chatml/chatml.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr formats::Blocks kBlocks =
    formats::chatml("You are Qwen, created by Alibaba Cloud. You are a helpful assistant.");

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "qwen-2.5",
    .version = "1.0.0",
    .help = "Qwen 2.5: ChatML with its default system text",
    .source = "the chat template of Qwen/Qwen2.5-7B-Instruct",
});
