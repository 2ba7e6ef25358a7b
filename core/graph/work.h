// work.h — what the steps of a graph have to do, counted from its nodes: arithmetic and bytes.
//
// Pure.
#pragma once

#include <cstdint>

#include "core/graph/graph.h"

namespace ropewalk {

struct StepSize {
  double rows = 0;    // tokens
  double wanted = 0;  // rows whose logits are wanted
  double pairs = 0;   // of a row and a key that it sees; n (n + 1) / 2 for a prompt of n tokens
};

// Two for each row and weight of the matmuls, and in attention 4 * heads * head_dim for each pair.
double flop_of(const Graph& graph, const StepSize& size);

// Bytes of the weights that a step multiplies, as the device has packed them. REQUIRES: placed.
uint64_t packed_weight_bytes(const Graph& graph);

// The same as a checkpoint stores them: codes, and for each group and column a scale of 16 bits and
// a zero. No device can read less.
uint64_t stored_weight_bytes(const Graph& graph);

// Bytes of all layers' caches for one token. REQUIRES: placed.
uint64_t cache_bytes_per_token(const Graph& graph);

}  // namespace ropewalk
