// adapter_commands.h — commands.h for `ropewalk adapter`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/commands.h"

namespace ropewalk {

struct AdapterCheckArguments {
  CommonArguments common = {};
  std::string adapter = {};              // folder
  std::optional<std::string> base = {};  // configuration or model folder
  std::optional<std::string> text = {};  // file
};

struct AdapterMergeArguments {
  CommonArguments common = {};             // its target is the base
  std::vector<std::string> adapters = {};  // DIR or DIR:SCALE
  std::string out = {};                    // folder
  std::string type = {};                   // f16, bf16, f32; empty: the base's
  std::string base_as = {};                // nf4; empty: as stored
};

struct AdapterCombineArguments {
  CommonArguments common = {};
  std::vector<std::string> adapters = {};  // DIR or DIR:SCALE
  std::string out = {};                    // folder
};

int adapter_check(const AdapterCheckArguments& arguments);
int adapter_merge(const AdapterMergeArguments& arguments);
int adapter_combine(const AdapterCombineArguments& arguments);

}  // namespace ropewalk
