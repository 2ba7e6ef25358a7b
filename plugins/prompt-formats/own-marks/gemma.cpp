// Gemma (one text, cut here into lines):
//
//   <s><start_of_turn>user\nhi<end_of_turn>\n
//   <start_of_turn>model\n
//
// Contents are trimmed. The system text and a blank line go before the user's first message, as in
// Gemma 3's template; those of Gemma 1 and 2 refuse a system text.
#include <array>

#include "plugins/prompt-formats/shared/blocks.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr std::array<std::string_view, 2> kTokens = {"<start_of_turn>", "<end_of_turn>"};
constexpr std::array<std::string_view, 2> kStops = {"<end_of_turn>", "<start_of_turn>"};
constexpr formats::Blocks kBlocks{
    .front = "<s>",
    .message = "<start_of_turn>{role}\n{content}<end_of_turn>\n",
    .roles = {.assistant = "model"},
    .tokens = kTokens,
    .stops = kStops,
    .system_text = formats::SystemText::before_the_users_first,
    .contents = formats::Contents::trimmed,
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "gemma",
    .version = "1.0.0",
    .help = "Gemma 1 to 3: <start_of_turn>user ... <end_of_turn>",
    .source = "the chat templates of google/gemma-2-2b-it and gemma-3-1b-it",
});
