// Qwen 3: ChatML. The thoughts of earlier replies are left out. Without thinking the reply begins
// with an empty thought, as the model was trained.
#include <array>

#include "plugins/prompt-formats/chatml/chatml.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr std::array kOptions = {
    formats::thinking_option("false: the reply begins with an empty thought"),
};
constexpr formats::Blocks kBlocks{
    .message = formats::kChatmlMessage,
    .reply_without_thoughts = "<|im_start|>assistant\n<think>\n\n</think>\n\n",
    .tokens = formats::kChatmlThinkingTokens,
    .stops = formats::kChatmlStops,
    .thoughts = formats::Thoughts::cut_with_line_ends,
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "qwen-3",
    .version = "1.0.0",
    .help = "Qwen 3: ChatML, with or without thinking",
    .source = "the chat template of Qwen/Qwen3-0.6B",
    .options = kOptions,
});
