// QwQ, and Qwen 3 Thinking of July 2025: ChatML whose replies begin with a thought. The thoughts of
// earlier replies are left out.
#include "plugins/prompt-formats/chatml/chatml.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr formats::Blocks kBlocks{
    .message = formats::kChatmlMessage,
    .reply = "<|im_start|>assistant\n<think>\n",
    .tokens = formats::kChatmlThinkingTokens,
    .stops = formats::kChatmlStops,
    .thoughts = formats::Thoughts::cut_with_line_ends,
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "qwq",
    .version = "1.0.0",
    .help = "QwQ and Qwen 3 Thinking: ChatML, a reply begins with <think>",
    .source = "the chat template of Qwen/QwQ-32B",
});
