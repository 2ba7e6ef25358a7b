// SmolLM2: ChatML with a system text of its own where the conversation has none.
#include <array>

#include "plugins/prompt-formats/blocks.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr std::array<std::string_view, 2> kTokens = {"<|im_start|>", "<|im_end|>"};
constexpr std::array<std::string_view, 3> kStops = {"<|im_end|>", "<|im_start|>", "<|endoftext|>"};
constexpr formats::Blocks kBlocks{
    .system = "<|im_start|>system\n{content}<|im_end|>\n",
    .user = "<|im_start|>user\n{content}<|im_end|>\n",
    .assistant = "<|im_start|>assistant\n{content}<|im_end|>\n",
    .reply = "<|im_start|>assistant\n",
    .default_system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face",
    .tokens = kTokens,
    .stops = kStops,
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "smollm2",
    .version = "1.0.0",
    .help = "SmolLM2: ChatML with its default system text",
    .source = "the chat template of HuggingFaceTB/SmolLM2-135M-Instruct",
});
