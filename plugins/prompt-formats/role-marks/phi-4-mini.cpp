// Phi 4 mini:
//
//   <|system|>SYSTEM<|end|><|user|>hi<|end|><|assistant|>
#include "plugins/prompt-formats/role-marks/phi.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr formats::Blocks kBlocks = formats::phi("<|{role}|>{content}<|end|>");

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "phi-4-mini",
    .version = "1.0.0",
    .help = "Phi 4 mini: <|user|>...<|end|>, without line ends",
    .source = "the chat template of microsoft/Phi-4-mini-instruct",
});
