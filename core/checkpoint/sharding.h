// sharding.h — which files of a model directory hold its tensors, and what the index says of them.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/checkpoint/formats/files.h"

namespace ropewalk {

enum class Container { safetensors, torch_bin };

struct ShardPlan {
  Container container = Container::safetensors;
  std::vector<std::string> files;  // sorted, at least one
  std::string index;               // the index file; empty: none
  // Tensor -> file; empty without an index.
  std::map<std::string, std::string, std::less<>> weight_map;
  uint64_t total_size = 0;  // from the index; 0: not given
};

// Looks, in this order, for: an index of safetensors (`*.safetensors.index.json`),
// BASE.safetensors, model.safetensors, a complete set NAME-00001-of-0000N.safetensors, any single
// *.safetensors; then the same for pytorch_model.bin and BASE.bin. BASE is the quantisation
// config's model_file_base_name and may be empty. Throws Error (exit code model) where nothing
// fits, where a set is incomplete, and for an index that names anything but plain file names in the
// directory.
ShardPlan plan_shards(const ModelDirectory& directory, const std::string& base_name);

}  // namespace ropewalk
