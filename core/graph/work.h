// work.h — FLOP and bytes of a graph's steps, counted from its nodes.
//
// Pure.
#pragma once

#include <cstdint>

#include "core/graph/claims.h"
#include "core/graph/graph.h"

namespace ropewalk {

struct StepSize {
  double rows = 0;    // tokens
  double wanted = 0;  // rows whose logits are wanted
  double pairs = 0;   // (row, visible key) pairs; n (n + 1) / 2 for a prompt of n tokens
  double keys = 0;    // cached keys of all sequences at the end of the step
};

// Matmuls: 2 for each row and weight. Attention: 4 * heads * head_dim for each pair. Adapters: 2
// for each row and element of matrices of the largest rank.
double flop_of(const Graph& graph, const StepSize& size);
// The same of one launch group.
double flop_of_group(const Graph& graph, const OwnedClaim& group, const StepSize& size);

// Bytes of the weights that a step multiplies, as the device has packed them. REQUIRES: placed.
uint64_t packed_weight_bytes(const Graph& graph);

// The same as a checkpoint stores them: codes, and for each group and column a scale of 16 bits and
// a zero. No device can read less.
uint64_t stored_weight_bytes(const Graph& graph);

// Bytes that a launch group must move: its weights as packed, the cached keys and values that it
// reads or appends, and once each activation that enters or leaves the group. An embedding table
// counts with the rows that are looked up. REQUIRES: placed.
double bytes_of_group(const Graph& graph, const OwnedClaim& group, const StepSize& size);

// Bytes of all layers' caches for one token. REQUIRES: placed.
uint64_t cache_bytes_per_token(const Graph& graph);

}  // namespace ropewalk
