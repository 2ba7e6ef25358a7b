// linear_sets.h — which layers of a model are quantised, and which of them read the same values.
//
// q, k and v read one norm's values, gate and up another's: each such set has one Hessian, one
// order and one factor. The model is cut where a set begins. Pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/model/model_graph.h"
#include "core/quantize/settings.h"

namespace ropewalk {

struct Linear {
  std::string name;  // as the file has it: "model.layers.0.self_attn.q_proj"
  uint32_t rows;     // outputs N
  // The layers of the graph that are its rows: itself, or those that the file stores as one
  // (Phi-3's qkv_proj).
  std::vector<std::string> layers = {};
};

struct LinearSet {
  std::vector<Linear> linears;
  std::string input;  // the value that they read
  uint32_t cols;      // its width K
};

// The linear layers within the model's layers, in the order of computation, without those that a
// pattern of `skip` means (core/base/module_pattern.h). Throws Error (usage) for a pattern that is
// none or means no layer, and where nothing is left. REQUIRES: the graph of a dense model.
std::vector<LinearSet> linear_sets(const ModelGraph& model, std::span<const std::string> skip);

// The model's layer that the set is in: "model.layers.7.".
std::string layer_of(const LinearSet& set);

// The first node of the set in a graph of the model, whether it is dense there or packed.
size_t node_of(const LinearSet& set, const Graph& graph);

// Throws Error (usage), naming the layer, where the settings and a shape contradict each other.
void check_shapes(const std::vector<LinearSet>& sets, const quantize::Settings& settings);

// What quantising the set costs with this many tokens: the forward pass, the Hessian, the factor,
// the columns, and three times as much as these for the errors.
double flop_of(const LinearSet& set, uint64_t tokens);

}  // namespace ropewalk
