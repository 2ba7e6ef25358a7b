// check.h — whether a graph and its weights obey core/graph/ops.md and core/abi/weight.h.
//
// The core checks once, for every device: claim() then only asks what the device can run, and
// pack() need not check a weight.
#pragma once

#include "core/abi/weight.h"
#include "core/graph/graph.h"

namespace ropewalk {

// Throws std::logic_error naming the node and the rule. A broken rule is a bug of this program: bad
// files were refused when they were read.
void check_graph(const Graph& graph);

// Throws std::logic_error naming `name` and the rule: sizes, lengths of the spans, orders that are
// permutations.
void check_weight(std::string_view name, const abi::Weight& weight);

}  // namespace ropewalk
