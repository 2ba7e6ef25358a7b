// check.h — whether a graph and its weights are what core/graph/ops.md and core/abi/weight.h say.
//
// The core checks once, for every device: claim() then only asks what the device can run, and
// pack() reads a weight as it stands.
#pragma once

#include "core/abi/weight.h"
#include "core/graph/graph.h"

namespace ropewalk {

// Throws std::logic_error naming the node and the rule: a graph is built by this program, and what
// a file may say wrong was refused when it was read.
void check_graph(const Graph& graph);

// Throws std::logic_error naming `name` and the rule: sizes, lengths of the spans, orders that are
// permutations.
void check_weight(std::string_view name, const abi::Weight& weight);

}  // namespace ropewalk
