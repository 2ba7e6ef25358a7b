// unread.h — tensors of a checkpoint that its model does not read.
#pragma once

#include <vector>

#include "core/checkpoint/checkpoint.h"
#include "core/model/model_graph.h"

namespace ropewalk {

// In order of their names. Tensors that no program reads (rotary_emb.inv_freq of old conversions)
// are left out. They live as long as the checkpoint.
std::vector<const TensorInfo*> unread_tensors(const Checkpoint& checkpoint,
                                              const ModelGraph& model);

// One warning with their count and first names, which says what they are where that shows: an
// adapter that was not merged, layers beyond those of config.json, an output layer beside tied
// embeddings, norms of another family.
void warn_of_unread(const Checkpoint& checkpoint, const ModelGraph& model);

}  // namespace ropewalk
