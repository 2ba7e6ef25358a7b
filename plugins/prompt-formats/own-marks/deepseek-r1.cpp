// DeepSeek R1 and its distilled models (one text, cut here into lines):
//
//   <s>SYSTEM<｜User｜>hi<｜Assistant｜>hello<｜end▁of▁sentence｜>
//   <｜User｜>again<｜Assistant｜><think>\n
//
// The thoughts of earlier replies are left out. The first files of the distilled models do not open
// the reply with <think>.
#include <array>

#include "plugins/prompt-formats/shared/blocks.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr std::array kOptions = {
    formats::thinking_option("false: the reply is not opened with <think>"),
};
constexpr std::array<std::string_view, 4> kTokens = {"<｜User｜>", "<｜Assistant｜>",
                                                     "<｜end▁of▁sentence｜>", "<think>"};
constexpr std::array<std::string_view, 2> kStops = {"<｜end▁of▁sentence｜>", "<｜User｜>"};
constexpr formats::Blocks kBlocks{
    .front = "<s>",
    .system = "{content}",
    .user = "<｜User｜>{content}",
    .assistant = "<｜Assistant｜>{content}<｜end▁of▁sentence｜>",
    .reply = "<｜Assistant｜><think>\n",
    .reply_without_thoughts = "<｜Assistant｜>",
    .tokens = kTokens,
    .stops = kStops,
    .thoughts = formats::Thoughts::cut,
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "deepseek-r1",
    .version = "1.0.0",
    .help = "DeepSeek R1 and its distilled models",
    .source = "the chat template of deepseek-ai/DeepSeek-R1-Distill-Llama-8B",
    .options = kOptions,
});
