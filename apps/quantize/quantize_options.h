// quantize_options.h — the options of quantize_command.h, for command_line.cpp, and what they mean.
#pragma once

#include "apps/quantize/quantize_command.h"
#include "core/layerwise/quantize_run.h"
#include "core/quantize/settings.h"

namespace CLI {
class App;
}

namespace ropewalk {

// Adds to the subcommand what is its own; command_line.cpp adds what all have.
void add_options(CLI::App& app, QuantizeArguments& quantize);

// Each throws Error (usage) for a value that is none of the known ones.
quantize::Settings settings_of(const QuantizeArguments& arguments);
// The device's solver, or nullptr for the host's. `auto` means the device where it has one. Throws
// Error (no_device) where it is named and has none.
abi::QuantizeSolver* solver_of(const QuantizeArguments& arguments, const LayerDevice& on);
QuantizeMethod method_of(const QuantizeArguments& arguments);
uint64_t shard_bytes_of(const QuantizeArguments& arguments);  // UINT64_MAX: one file

std::string solver_name(const abi::QuantizeSolver* solver);  // host or device

// What the result depends on, by the names of the options.
Json settings_json(const QuantizeArguments& arguments);

}  // namespace ropewalk
