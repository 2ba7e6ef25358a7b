// Phi 3 and 3.5 (one text, cut here into lines):
//
//   <|system|>\nSYSTEM<|end|>\n
//   <|user|>\nhi<|end|>\n
//   <|assistant|>\n
//
// No BOS is written; the prompt begins with one where the tokenizer adds it.
#include "plugins/prompt-formats/role-marks/phi.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr formats::Blocks kBlocks = formats::phi("<|{role}|>\n{content}<|end|>\n");

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "phi-3",
    .version = "1.0.0",
    .help = "Phi 3 and 3.5: <|user|> ... <|end|>",
    .source = "the chat template of microsoft/Phi-3.5-mini-instruct",
});
