// Llama 3.1 and 3.3: as Llama 3, with a system block that is always there and begins with dates.
// The day's date is the template's own where the program gives none, so that a run does not change
// with the day.
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
    .system =
        "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December "
        "2023\nToday Date: 26 Jul 2024\n\n{content}<|eot_id|>",
    .user = "<|start_header_id|>user<|end_header_id|>\n\n{content}<|eot_id|>",
    .assistant = "<|start_header_id|>assistant<|end_header_id|>\n\n{content}<|eot_id|>",
    .reply = "<|start_header_id|>assistant<|end_header_id|>\n\n",
    .no_system =
        "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December "
        "2023\nToday Date: 26 Jul 2024\n\n<|eot_id|>",
    .tokens = kTokens,
    .stops = kStops,
    .contents = formats::Contents::trimmed,
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "llama-3.1",
    .version = "1.0.0",
    .help = "Llama 3.1 and 3.3: as llama-3, the system block begins with dates",
    .source = "the chat template of meta-llama/Llama-3.1-8B-Instruct",
});
