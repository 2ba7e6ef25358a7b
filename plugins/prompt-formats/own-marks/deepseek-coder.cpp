// DeepSeek Coder Instruct (one text, cut here into lines):
//
//   <s>SYSTEM### Instruction:\nhi\n
//   ### Response:\nhello\n<|EOT|>\n
//   ### Instruction:\nagain\n
//   ### Response:\n
#include <array>

#include "plugins/prompt-formats/shared/blocks.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr std::array<std::string_view, 1> kTokens = {"<|EOT|>"};
constexpr std::array<std::string_view, 2> kStops = {"<|EOT|>", "### Instruction:"};
constexpr formats::Blocks kBlocks{
    .front = "<s>",
    .system = "{content}",
    .user = "### Instruction:\n{content}\n",
    .assistant = "### Response:\n{content}\n<|EOT|>\n",
    .default_system =
        "You are an AI programming assistant, utilizing the Deepseek Coder model, developed by "
        "Deepseek Company, and you only answer questions related to computer science. For "
        "politically sensitive questions, security and privacy issues, and other non-computer "
        "science questions, you will refuse to answer\n",
    .tokens = kTokens,
    .stops = kStops,
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "deepseek-coder",
    .version = "1.0.0",
    .help = "DeepSeek Coder: ### Instruction: ... ### Response: ...",
    .source = "the chat template of deepseek-ai/deepseek-coder-33b-instruct",
});
