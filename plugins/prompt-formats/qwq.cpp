// QwQ, and Qwen 3 Thinking of July 2025: ChatML whose replies begin with a thought. The thoughts of
// earlier replies are left out.
#include <array>

#include "plugins/prompt-formats/shared/blocks.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr std::array<std::string_view, 4> kTokens = {"<|im_start|>", "<|im_end|>", "<think>",
                                                     "</think>"};
constexpr formats::Blocks kBlocks = [] {
  formats::Blocks blocks = formats::chatml("");
  blocks.reply = "<|im_start|>assistant\n<think>\n";
  blocks.tokens = kTokens;
  blocks.thoughts = formats::Thoughts::cut_with_line_ends;
  return blocks;
}();

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "qwq",
    .version = "1.0.0",
    .help = "QwQ and Qwen 3 Thinking: ChatML, a reply begins with <think>",
    .source = "the chat template of Qwen/QwQ-32B",
});
