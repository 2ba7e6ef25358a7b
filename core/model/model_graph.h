// model_graph.h — a model as a graph, and which of the checkpoint's tensors fill it.
//
// Plain data. Built by the model's family (families.h), loaded by core/exec.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/graph/graph.h"
#include "core/model/weights.h"

namespace ropewalk {

struct ModelOptions {
  abi::DType activation;   // the device's activation type
  abi::DType kv_type;      // of the cache: f16, f32 or i8
  uint32_t cache_pages;    // pages of every layer's cache
  double attention_scale;  // of the RoPE table (YaRN, longrope); 1 for most policies
  abi::KeyRotation keys;
};

// How the graph's weights and constants are filled.
struct LinearLoad {
  TensorId weight;
  std::optional<TensorId> bias;
  LinearInfo info;
};
struct VectorLoad {
  TensorId tensor;
  std::string name;  // in the checkpoint
  uint32_t size;
};
struct TableLoad {
  TensorId tensor;
  std::string name;
};

struct ModelGraph {
  Graph graph;  // explicit permutes, not yet folded; its one output is the logits (W, vocab) f32
  std::vector<LinearLoad> linears;
  std::vector<VectorLoad> vectors;
  std::vector<TableLoad> tables;
};

}  // namespace ropewalk
