// DeepSeek LLM Chat and V2 (one text, cut here into lines):
//
//   <s>SYSTEM\n\nUser: hi\n\nAssistant: hello</s>
//   User: again\n\nAssistant:
#include <array>

#include "plugins/prompt-formats/shared/blocks.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr std::array<std::string_view, 1> kStops = {"User:"};
constexpr formats::Blocks kBlocks{
    .front = "<s>",
    .system = "{content}\n\n",
    .user = "User: {content}\n\n",
    .assistant = "Assistant: {content}</s>",
    .reply = "Assistant:",
    .stops = kStops,
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "deepseek-llm",
    .version = "1.0.0",
    .help = "DeepSeek LLM Chat: User: ... Assistant: ...",
    .source = "the chat template of deepseek-ai/deepseek-llm-7b-chat",
});
