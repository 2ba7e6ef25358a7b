// Llama 3 (one text, cut here into lines):
//
//   <s><|start_header_id|>system<|end_header_id|>\n\nSYSTEM<|eot_id|>
//   <|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>
//   <|start_header_id|>assistant<|end_header_id|>\n\n
//
// Contents are trimmed. No system text, no system block.
#include "plugins/prompt-formats/llama-3/llama_3.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr formats::Blocks kBlocks = formats::llama_3({});

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "llama-3",
    .version = "1.0.0",
    .help = "Llama 3: <|start_header_id|>user<|end_header_id|> ...",
    .source = "the chat template of meta-llama/Meta-Llama-3-8B-Instruct",
});
