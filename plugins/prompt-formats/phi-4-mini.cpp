// Phi 4 mini:
//
//   <|system|>SYSTEM<|end|><|user|>hi<|end|><|assistant|>
#include <array>

#include "plugins/prompt-formats/shared/blocks.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr std::array<std::string_view, 4> kTokens = {"<|system|>", "<|user|>", "<|assistant|>",
                                                     "<|end|>"};
constexpr std::array<std::string_view, 2> kStops = {"<|end|>", "<|endoftext|>"};
constexpr formats::Blocks kBlocks{
    .system = "<|system|>{content}<|end|>",
    .user = "<|user|>{content}<|end|>",
    .assistant = "<|assistant|>{content}<|end|>",
    .reply = "<|assistant|>",
    .tokens = kTokens,
    .stops = kStops,
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "phi-4-mini",
    .version = "1.0.0",
    .help = "Phi 4 mini: <|user|>...<|end|>, without line ends",
    .source = "the chat template of microsoft/Phi-4-mini-instruct",
});
