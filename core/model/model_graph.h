// model_graph.h — a model as a graph, and which of the checkpoint's tensors fill it.
//
// Plain data. Built by the model's family (families.h), loaded by core/load.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/checkpoint/weights/weight_source.h"
#include "core/graph/graph.h"

namespace ropewalk {

// Which linear layers have room for adapters, and how much.
struct AdapterRoom {
  std::set<std::string> modules = {};  // by the names of their weights, without ".weight"
  std::set<std::string> vectors = {};  // those of them whose outputs have a gain and a shift, too
  uint32_t slots = 0;                  // adapters on the device at a time
  uint32_t rank = 0;                   // the largest, a multiple of 32
};

struct ModelOptions {
  abi::DType activation;   // the device's activation type
  abi::DType kv_type;      // of the cache: f16, f32 or i8
  uint32_t cache_pages;    // pages of every layer's cache
  double attention_scale;  // of the RoPE table (YaRN, longrope); 1 for most policies
  abi::KeyRotation keys;
  uint32_t page_tokens = abi::kDefaultPageTokens;
  // The graph is that of steps with adapters; nullptr: of those without. REQUIRES: it outlives
  // build_model().
  const AdapterRoom* adapters = nullptr;
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

// Where the adapters of a linear layer lie: A (slots, K, rank), B (slots, rank, N), ranks (slots),
// vectors (slots, 2, N) where the layer has room for them.
//
// The layer reads x in the order of its rows and writes y in that of its columns, so that the
// layout of slot s of an adapter W + B A is
//
//   A[s][k][i] = lora_A[i][row_order[k]]     B[s][i][n] = lora_B[first_col + column_order[n]][i]
//
// with B's column_order in the graph; gain and shift lie like B's columns.
struct AdapterLoad {
  std::string module;  // as adapters name it: Phi-3's q_proj is a part of qkv_proj
  uint32_t first_col;  // its output that is the layer's first
  uint32_t cols;       // outputs of the layer
  TensorId a, b, ranks;
  std::optional<TensorId> vectors;
  std::vector<uint32_t> row_order;
};

struct ModelGraph {
  Graph graph;  // explicit permutes, not yet folded; its one output is the logits (W, vocab) f32
  std::vector<WeightLoad> weights;
  std::vector<VectorLoad> vectors;
  std::vector<AdapterLoad> adapters = {};
  float logit_cap = 0;  // logits become cap * tanh(logit / cap) on the host; 0: they stay
};

}  // namespace ropewalk
