// Llama 3 (one text, cut here into lines):
//
//   <s><|start_header_id|>system<|end_header_id|>\n\nSYSTEM<|eot_id|>
//   <|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>
//   <|start_header_id|>assistant<|end_header_id|>\n\n
//
// Contents are trimmed. No system text, no system block.
#include <array>

#include "plugins/prompt-formats/blocks.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr std::array<std::string_view, 3> kTokens = {"<|start_header_id|>", "<|end_header_id|>",
                                                     "<|eot_id|>"};
constexpr std::array<std::string_view, 3> kStops = {"<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"};
constexpr formats::Blocks kBlocks{
    .front = "<s>",
    .system = "<|start_header_id|>system<|end_header_id|>\n\n{content}<|eot_id|>",
    .user = "<|start_header_id|>user<|end_header_id|>\n\n{content}<|eot_id|>",
    .assistant = "<|start_header_id|>assistant<|end_header_id|>\n\n{content}<|eot_id|>",
    .reply = "<|start_header_id|>assistant<|end_header_id|>\n\n",
    .tokens = kTokens,
    .stops = kStops,
    .contents = formats::Contents::trimmed,
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "llama-3",
    .version = "1.0.0",
    .help = "Llama 3: <|start_header_id|>user<|end_header_id|> ...",
    .source = "the chat template of meta-llama/Meta-Llama-3-8B-Instruct",
});
