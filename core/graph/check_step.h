// check_step.h — whether a step obeys core/abi/graph.h, before a device sees it.
//
// The core checks once, for every device: enqueue() copies a step unchecked, and no kernel checks
// its indices.
#pragma once

#include "core/abi/backend.h"

namespace ropewalk {

// Upper bounds for the indices in a step.
struct StepLimits {
  uint32_t tokens;  // rows of the embedding table
  uint32_t pages;   // of the cache
  uint32_t page_tokens;
  uint32_t rope_pairs;  // of a sequence's RoPE tables
  uint32_t slots = 0;   // of adapters; 0: the graph has none
};
StepLimits step_limits(const abi::Graph& graph);

// Throws std::logic_error naming the row or sequence and the rule: steps are made by this program.
// Takes a few instructions for each row and each page, and allocates nothing.
void check_step(const abi::Step& step, const abi::ProgramShape& shape, const StepLimits& limits);

}  // namespace ropewalk
