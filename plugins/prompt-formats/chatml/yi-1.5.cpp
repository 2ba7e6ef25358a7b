// Yi 1.5 Chat: ChatML, but the system text stands bare in front.
//
//   SYSTEM<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n
#include "plugins/prompt-formats/chatml/chatml.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr formats::Blocks kBlocks{
    .message = formats::kChatmlMessage,
    .system = "{content}",
    .tokens = formats::kChatmlTokens,
    .stops = formats::kChatmlStops,
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "yi-1.5",
    .version = "1.0.0",
    .help = "Yi 1.5 Chat: ChatML, the system text bare",
    .source = "the chat template of 01-ai/Yi-1.5-34B-Chat",
});
