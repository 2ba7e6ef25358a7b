// work.h — FLOP and bytes of a graph's steps, counted from its nodes.
//
// Pure.
#pragma once

#include <cstdint>

#include "core/graph/graph.h"

namespace ropewalk {

struct StepSize {
  double rows = 0;    // tokens
  double wanted = 0;  // rows whose logits are wanted
  double pairs = 0;   // (row, visible key) pairs; n (n + 1) / 2 for a prompt of n tokens
};

// Matmuls: 2 for each row and weight. Attention: 4 * heads * head_dim for each pair.
double flop_of(const Graph& graph, const StepSize& size);

// Bytes of the weights that a step multiplies, as the device has packed them. REQUIRES: placed.
uint64_t packed_weight_bytes(const Graph& graph);

// The same as a checkpoint stores them: codes, and for each group and column a scale of 16 bits and
// a zero. No device can read less.
uint64_t stored_weight_bytes(const Graph& graph);

// Bytes of all layers' caches for one token. REQUIRES: placed.
uint64_t cache_bytes_per_token(const Graph& graph);

}  // namespace ropewalk
