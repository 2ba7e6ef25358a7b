// names.h — the names of a checkpoint's tensors as the model's own code gives them, whatever was
// wrapped around the model when it was saved.
//
// Pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/checkpoint/formats/tensor_info.h"

namespace ropewalk {

//   base_model.model.model.layers.0...       PEFT
//   module.model.layers.0...                 DataParallel
//   model.layers.0.self_attn.q_proj.base_layer.weight    PEFT, around one layer
//   layers.0...                              a bare model, without its output layer
//   language_model.model.layers.0...         the text part of a model that reads pictures too,
//   model.language_model.layers.0...         by transformers before and since 4.52
//
// All of them become model.layers.0... What was around the table of embeddings is taken from every
// name that begins with it; other names stay as they are. Returns what was found, a clause for a
// note; empty: the names are the model's own.
std::string settle_names(std::span<TensorInfo> tensors);

// The name of a tensor of the same layer behind another prefix; empty: there is none.
std::string similar_name(std::span<const TensorInfo> tensors, std::string_view name);

}  // namespace ropewalk
