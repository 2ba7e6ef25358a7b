// model_graph.h — a model as a graph, and which of the checkpoint's tensors fill it.
//
// Plain data. Built by the model's family (families.h), loaded by core/load.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/checkpoint/weights/weight_source.h"
#include "core/graph/graph.h"

namespace ropewalk {

struct ModelOptions {
  abi::DType activation;   // the device's activation type
  abi::DType kv_type;      // of the cache: f16, f32 or i8
  uint32_t cache_pages;    // pages of every layer's cache
  double attention_scale;  // of the RoPE table (YaRN, longrope); 1 for most policies
  abi::KeyRotation keys;
};

// The sources of the graph's weights and constants.
struct WeightLoad {
  TensorId tensor;
  std::optional<TensorId> bias;
  WeightInfo info;
};
struct VectorLoad {
  TensorId tensor;
  std::string name;  // in the checkpoint
  uint32_t size;
  float plus = 0;   // is added to its numbers,
  float scale = 1;  // which are then multiplied by it
};

struct ModelGraph {
  Graph graph;  // explicit permutes, not yet folded; its one output is the logits (W, vocab) f32
  std::vector<WeightLoad> weights;
  std::vector<VectorLoad> vectors;
  float logit_cap = 0;  // logits become cap * tanh(logit / cap) on the host; 0: they stay
};

}  // namespace ropewalk
