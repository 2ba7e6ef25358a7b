// sizes.h — config.json's sizes held against the tensors that show them directly.
//
// Stateless. Private to checkpoint_weights.cpp.
#pragma once

#include "core/checkpoint/checkpoint.h"

namespace ropewalk {

// Throws Error (exit code model) that names the field of config.json and the tensor where
// hidden_size, intermediate_size or num_key_value_heads is not what the first layer shows. Tensors
// that are missing or of another rank say nothing here: whoever needs them refuses them.
void check_sizes(const Checkpoint& checkpoint);

}  // namespace ropewalk
