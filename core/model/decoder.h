// decoder.h — a decoder-only transformer as a graph: RMSNorm, attention and a gated MLP in every
// layer, tensors under the names that most families share.
//
// Source: huggingface/transformers, models/llama/modeling_llama.py.
#pragma once

#include "core/model/model_graph.h"

namespace ropewalk {

// As build_model() (families.h), for the families of this shape.
ModelGraph build_decoder(const WeightSource& weights, const ModelOptions& options);

}  // namespace ropewalk
