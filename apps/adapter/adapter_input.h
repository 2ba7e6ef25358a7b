// adapter_input.h — what the adapter commands are given: folders with scales, and a base model.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "core/adapter/merged_checkpoint.h"
#include "core/config/config.h"

namespace ropewalk {

// Adapters named on the command line, open.
struct OpenAdapters {
  std::vector<std::unique_ptr<Adapter>> adapters;
  std::vector<ScaledAdapter> scaled;  // of the above
};

// `names` are DIR or DIR:SCALE. Throws Error: usage for a scale that is no finite number or is 0,
// and for a folder named twice.
OpenAdapters open_adapters(const std::vector<std::string>& names);

// A configuration, or a model's folder with every default.
Config open_base_config(const CommonArguments& arguments, const std::string& base);

// Warnings, without the full stop.
void warn_of(const std::vector<std::string>& doubts);

}  // namespace ropewalk
