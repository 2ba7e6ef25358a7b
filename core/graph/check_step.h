// check_step.h — whether a step is what core/abi/graph.h says, before a device sees it.
//
// The core checks once, for every device: enqueue() copies a step as it comes, and no kernel looks
// whether an index leaves its buffer.
#pragma once

#include "core/abi/backend.h"

namespace ropewalk {

// What the numbers of a step are indices into.
struct StepLimits {
  uint32_t tokens;    // rows of the embedding table
  uint32_t pages;     // of the cache
  uint32_t half_dim;  // of a sequence's RoPE table
};
StepLimits step_limits(const abi::Graph& graph);

// Throws std::logic_error naming the row or sequence and the rule: steps are made by this program.
// Takes a few instructions for each row and each page, and allocates nothing.
void check_step(const abi::Step& step, const abi::ProgramShape& shape, const StepLimits& limits);

}  // namespace ropewalk
