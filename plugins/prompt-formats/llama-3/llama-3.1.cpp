// Llama 3.1 to 3.3: as Llama 3, with a system block that is always there and begins with dates. The
// date's default is what the template says where the program gives none.
#include <array>

#include "plugins/prompt-formats/llama-3/llama_3.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr std::array kOptions = {
    formats::date_option("26 Jul 2024"),
    OptionInfo{.name = "trim",
               .type = OptionType::boolean,
               .default_value = "true",
               .help = "false: texts are written as they are, as unsloth's template does"},
};
constexpr formats::Blocks kBlocks = [] {
  formats::Blocks blocks = formats::llama_3({});
  blocks.system =
      "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December "
      "2023\nToday Date: {date}\n\n{content}<|eot_id|>";
  blocks.no_system =
      "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December "
      "2023\nToday Date: {date}\n\n<|eot_id|>";
  return blocks;
}();

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "llama-3.1",
    .version = "1.0.0",
    .help = "Llama 3.1 to 3.3: as llama-3, the system block begins with dates",
    .source = "the chat template of meta-llama/Llama-3.1-8B-Instruct",
    .options = kOptions,
});
