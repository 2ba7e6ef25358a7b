// OpenChat 3.5 (one text, cut here into lines):
//
//   <s>GPT4 Correct System: SYSTEM<|end_of_turn|>
//   GPT4 Correct User: hi<|end_of_turn|>
//   GPT4 Correct Assistant:
#include <array>

#include "plugins/prompt-formats/shared/blocks.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr std::array<std::string_view, 1> kTokens = {"<|end_of_turn|>"};
constexpr std::array<std::string_view, 2> kStops = {"<|end_of_turn|>", "GPT4 Correct User:"};
constexpr formats::Blocks kBlocks{
    .front = "<s>",
    .message = "GPT4 Correct {role}: {content}<|end_of_turn|>",
    .roles = {"System", "User", "Assistant"},
    .reply = "GPT4 Correct Assistant:",
    .tokens = kTokens,
    .stops = kStops,
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "openchat",
    .version = "1.0.0",
    .help = "OpenChat 3.5: GPT4 Correct User: ...<|end_of_turn|>",
    .source = "the chat template of openchat/openchat-3.5-0106",
});
