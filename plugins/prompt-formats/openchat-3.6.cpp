// OpenChat 3.6, a Llama 3: its marks with OpenChat's names of the roles.
#include "plugins/prompt-formats/shared/blocks.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr formats::Blocks kBlocks = [] {
  formats::Blocks blocks =
      formats::llama_3("<|start_header_id|>System<|end_header_id|>\n\n{content}<|eot_id|>", "");
  blocks.user = "<|start_header_id|>GPT4 Correct User<|end_header_id|>\n\n{content}<|eot_id|>";
  blocks.assistant =
      "<|start_header_id|>GPT4 Correct Assistant<|end_header_id|>\n\n{content}<|eot_id|>";
  blocks.reply = "<|start_header_id|>GPT4 Correct Assistant<|end_header_id|>\n\n";
  return blocks;
}();

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "openchat-3.6",
    .version = "1.0.0",
    .help = "OpenChat 3.6: as llama-3, with the roles' names of OpenChat",
    .source = "the chat template of openchat/openchat-3.6-8b-20240522",
});
