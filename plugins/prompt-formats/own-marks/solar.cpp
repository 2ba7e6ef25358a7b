// SOLAR Instruct:
//
//   ### System:\nSYSTEM\n\n### User:\nhi\n\n### Assistant:\nhello### User:\nagain\n\n
//   ### Assistant:\n
//
// Nothing stands behind a reply. No BOS is written.
#include <array>

#include "plugins/prompt-formats/shared/blocks.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr std::array<std::string_view, 1> kStops = {"### User:"};
constexpr formats::Blocks kBlocks{
    .message = "### {role}:\n{content}\n\n",
    .assistant = "### {role}:\n{content}",
    .roles = {"System", "User", "Assistant"},
    .stops = kStops,
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, formats::BlockFormat<kBlocks>>({
    .name = "solar",
    .version = "1.0.0",
    .help = "SOLAR Instruct: ### User: ... ### Assistant: ...",
    .source = "the chat template of upstage/SOLAR-10.7B-Instruct-v1.0",
});
