// Phi 3 and 3.5 (one text, cut here into lines):
//
//   <|system|>\nSYSTEM<|end|>\n
//   <|user|>\nhi<|end|>\n
//   <|assistant|>\n
//
// No BOS is written; the prompt begins with one where the tokenizer adds it.
#include <array>

#include "plugins/prompt-formats/shared/blocks.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr std::array<std::string_view, 4> kTokens = {"<|system|>", "<|user|>", "<|assistant|>",
                                                     "<|end|>"};
constexpr std::array<std::string_view, 2> kStops = {"<|end|>", "<|endoftext|>"};
constexpr formats::Blocks kBlocks{
    .system = "<|system|>\n{content}<|end|>\n",
    .user = "<|user|>\n{content}<|end|>\n",
    .assistant = "<|assistant|>\n{content}<|end|>\n",
    .reply = "<|assistant|>\n",
    .tokens = kTokens,
    .stops = kStops,
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "phi-3",
    .version = "1.0.0",
    .help = "Phi 3 and 3.5: <|user|> ... <|end|>",
    .source = "the chat template of microsoft/Phi-3.5-mini-instruct",
});
