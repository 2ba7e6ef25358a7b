// Granite 3 (one text, cut here into lines):
//
//   <|start_of_role|>system<|end_of_role|>SYSTEM<|end_of_text|>\n
//   <|start_of_role|>user<|end_of_role|>hi<|end_of_text|>\n
//   <|start_of_role|>assistant<|end_of_role|>
//
// From 3.1 on the templates write a system text with the day's date where the conversation has
// none. Here that is an option, empty as in 3.0, so that a run does not change with the day.
#include <array>

#include "plugins/prompt-formats/shared/blocks.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr std::array kOptions = {formats::kDefaultSystemOption};
constexpr std::array<std::string_view, 3> kTokens = {"<|start_of_role|>", "<|end_of_role|>",
                                                     "<|end_of_text|>"};
constexpr std::array<std::string_view, 2> kStops = {"<|end_of_text|>", "<|start_of_role|>"};
constexpr formats::Blocks kBlocks{
    .message = "<|start_of_role|>{role}<|end_of_role|>{content}<|end_of_text|>\n",
    .tokens = kTokens,
    .stops = kStops,
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "granite-3",
    .version = "1.0.0",
    .help = "Granite 3: <|start_of_role|>user<|end_of_role|> ...",
    .source = "the chat template of ibm-granite/granite-3.0-8b-instruct",
    .options = kOptions,
});
