// Phi 4:
//
//   <|im_start|>system<|im_sep|>SYSTEM<|im_end|><|im_start|>user<|im_sep|>hi<|im_end|>
//   <|im_start|>assistant<|im_sep|>
#include <array>

#include "plugins/prompt-formats/shared/blocks.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr std::array<std::string_view, 3> kTokens = {"<|im_start|>", "<|im_sep|>", "<|im_end|>"};
constexpr std::array<std::string_view, 2> kStops = {"<|im_end|>", "<|endoftext|>"};
constexpr formats::Blocks kBlocks{
    .message = "<|im_start|>{role}<|im_sep|>{content}<|im_end|>",
    .tokens = kTokens,
    .stops = kStops,
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "phi-4",
    .version = "1.0.0",
    .help = "Phi 4: <|im_start|>user<|im_sep|> ... <|im_end|>",
    .source = "the chat template of microsoft/phi-4",
});
