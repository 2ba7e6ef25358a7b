// Falcon 3 Instruct, a Llama (one text, cut here into lines). The roles' marks are text.
//
//   <|system|>\nSYSTEM\n
//   <|user|>\nhi\n
//   <|assistant|>\nhello</s>\n
//   <|user|>\nagain\n
//   <|assistant|>\n
#include <array>

#include "plugins/prompt-formats/role-marks/open_marks.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr std::array<std::string_view, 2> kStops = {"<|endoftext|>", "<|user|>"};
constexpr formats::Blocks kBlocks = formats::open_marks("", kStops);

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "falcon-3",
    .version = "1.0.0",
    .help = "Falcon 3: <|user|> ..., the marks as text",
    .source = "the chat template of tiiuae/Falcon3-3B-Instruct",
});
