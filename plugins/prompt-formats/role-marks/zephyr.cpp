// Zephyr, and TinyLlama Chat (one text, cut here into lines):
//
//   <|system|>\nSYSTEM</s>\n
//   <|user|>\nhi</s>\n
//   <|assistant|>\n
//
// The names of the roles are text, </s> is EOS. No BOS is written.
#include <array>

#include "plugins/prompt-formats/shared/blocks.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr std::array<std::string_view, 1> kStops = {"<|user|>"};
constexpr formats::Blocks kBlocks{
    .message = "<|{role}|>\n{content}</s>\n",
    .stops = kStops,
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "zephyr",
    .version = "1.0.0",
    .help = "Zephyr and TinyLlama Chat: <|user|> ... </s>",
    .source = "the chat template of HuggingFaceH4/zephyr-7b-beta",
});
