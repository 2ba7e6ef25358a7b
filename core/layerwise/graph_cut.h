// graph_cut.h — a run of a model's nodes as a graph of its own.
//
//   whole   embed norm | q k v .. attention | o add norm | gate ..
//                    node 2               node 9
//   part    [2, 9):   embed(table of the norm's values)  q k v .. attention
//
// Values that cross the first cut enter by tables of embeddings, whose row t belongs to token t of
// a text: a step with the tokens 0, 1, 2 .. reads them. So a device needs no op that it does not
// have. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/model/model_graph.h"

namespace ropewalk {

// A value that crosses a cut: (tokens, width).
struct LiveValue {
  std::string name;
  uint32_t width;

  bool operator==(const LiveValue&) const = default;
};

// What is computed before `node` and read at it or behind it, in the order of computation.
std::vector<LiveValue> live_at(const Graph& graph, size_t node);

struct GraphCut {
  ModelGraph model;                        // its outputs are those below, in order
  std::vector<LiveValue> inputs, outputs;  // that the part reads, and that it computes
  std::vector<TensorId> tables;            // of `inputs`
};

// The nodes [first, last). `tokens` is the number of rows of the tables; they are among
// model.weights, as embeddings named "input.NAME".
GraphCut cut_graph(const ModelGraph& whole, size_t first, size_t last, uint32_t tokens);

inline constexpr std::string_view kInputPrefix = "input.";

}  // namespace ropewalk
