// Tulu 3 and OLMo 2 Instruct (one text, cut here into lines):
//
//   <s><|system|>\nSYSTEM\n
//   <|user|>\nhi\n
//   <|assistant|>\nhello</s>\n
//   <|user|>\nagain\n
//   <|assistant|>\n
//
// The names of the roles are text.
#include <array>

#include "plugins/prompt-formats/role-marks/open_marks.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr std::array<std::string_view, 1> kStops = {"<|user|>"};
constexpr formats::Blocks kBlocks = formats::open_marks("<s>", kStops);

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "tulu",
    .version = "1.0.0",
    .help = "Tulu 3 and OLMo 2: <|user|> ... <|assistant|> ...",
    .source = "the chat template of allenai/OLMo-2-1124-7B-SFT",
});
