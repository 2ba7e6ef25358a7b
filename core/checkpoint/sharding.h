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
  std::vector<std::string> files;  // sorted, at least one, all of them there
  std::string index;               // the index file; empty: none, or not used
  // Tensor -> file, which may be one that is not there; empty without an index.
  std::map<std::string, std::string, std::less<>> weight_map;
  // What the index says of all tensors' bytes; 0: nothing that could be read.
  uint64_t total_size = 0;
};

// Looks, in this order, for: BASE.safetensors, model.safetensors, an index of safetensors
// (`*.safetensors.index.json`), a complete set NAME-00001-of-0000N.safetensors, any single
// *.safetensors; then the same for BASE.bin and pytorch_model.bin. BASE is the quantisation
// config's model_file_base_name and may be empty. A single file that the index counts among others
// does not come before the index. Throws Error (exit code model) where nothing fits, where a set
// without an index is incomplete, and for an index that names anything but plain file names in the
// directory. Warns of files that are passed over.
ShardPlan plan_shards(const ModelDirectory& directory, const std::string& base_name);

}  // namespace ropewalk
