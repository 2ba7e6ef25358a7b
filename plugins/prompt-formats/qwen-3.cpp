// Qwen 3: ChatML. The thoughts of earlier replies are left out. Without thinking the reply begins
// with an empty thought, as the model was trained.
#include <array>

#include "plugins/prompt-formats/shared/blocks.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr std::array kOptions = {
    OptionInfo{.name = "thinking",
               .type = OptionType::boolean,
               .default_value = "true",
               .help = "false: the reply begins with an empty thought"},
};
constexpr std::array<std::string_view, 4> kTokens = {"<|im_start|>", "<|im_end|>", "<think>",
                                                     "</think>"};
constexpr std::array<std::string_view, 3> kStops = {"<|im_end|>", "<|im_start|>", "<|endoftext|>"};
constexpr formats::Blocks kBlocks{
    .system = "<|im_start|>system\n{content}<|im_end|>\n",
    .user = "<|im_start|>user\n{content}<|im_end|>\n",
    .assistant = "<|im_start|>assistant\n{content}<|im_end|>\n",
    .reply = "<|im_start|>assistant\n",
    .reply_without_thoughts = "<|im_start|>assistant\n<think>\n\n</think>\n\n",
    .tokens = kTokens,
    .stops = kStops,
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
