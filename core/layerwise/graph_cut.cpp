#include "core/layerwise/graph_cut.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

namespace ropewalk {
namespace {

using abi::TensorKind;

LiveValue value_of(const GraphTensor& tensor) {
  uint32_t width = 1;
  for (size_t i = 1; i < tensor.dims.size(); ++i) width *= tensor.dims[i];
  return {tensor.name, width};
}

std::vector<TensorId> live_tensors(const Graph& graph, size_t node) {
  std::vector<TensorId> live;
  for (TensorId t = 0; t < graph.tensors.size(); ++t) {
    if (graph.tensors[t].kind != TensorKind::scratch || graph.writer(t) >= node) continue;
    const std::vector<uint32_t> readers = graph.readers(t);
    if (std::ranges::any_of(readers, [&](uint32_t reader) { return reader >= node; }))
      live.push_back(t);
  }
  return live;
}

class Cutter {
 public:
  Cutter(const ModelGraph& whole, uint32_t tokens) : whole_(whole), tokens_(tokens) {}

  GraphCut run(size_t first, size_t last) {
    for (const TensorId t : live_tensors(whole_.graph, first)) {
      const std::vector<uint32_t> readers = whole_.graph.readers(t);
      const bool read =
          std::ranges::any_of(readers, [&](uint32_t node) { return node >= first && node < last; });
      if (read) add_input(t);
    }
    for (size_t node = first; node < last; ++node) {
      GraphNode copy = whole_.graph.nodes[node];
      for (TensorId& t : copy.in) t = mapped(t);
      for (TensorId& t : copy.out) t = mapped(t);
      part().add_node(std::move(copy));
    }
    for (const TensorId t : live_tensors(whole_.graph, last)) {
      if (whole_.graph.writer(t) < first) continue;
      part().add_output(mapped(t));
      cut_.outputs.push_back(value_of(whole_.graph.tensors[t]));
    }
    add_sources();
    return std::move(cut_);
  }

 private:
  Graph& part() { return cut_.model.graph; }

  TensorId mapped(TensorId t) {
    const auto [entry, is_new] = ids_.try_emplace(t, 0);
    if (is_new) entry->second = part().add_tensor(whole_.graph.tensors[t]);
    return entry->second;
  }

  // table (tokens, width) -> value (rows, width)
  void add_input(TensorId t) {
    const LiveValue value = value_of(whole_.graph.tensors[t]);
    const abi::DType type = whole_.graph.tensors[t].dtype;
    const std::string name = std::string(kInputPrefix) + value.name;
    GraphTensor table;
    table.name = name;
    table.kind = TensorKind::weight;
    table.dtype = type;
    table.dims = {tokens_, value.width};
    const TensorId id = part().add_tensor(std::move(table));
    part().add_node({name, abi::Op::embed, {id}, {mapped(t)}, abi::EmbedParams{}});
    WeightInfo info{
        .name = name,
        .shape = {
            .use = abi::WeightUse::embed, .dtype = type, .rows = value.width, .cols = tokens_}};
    cut_.model.weights.push_back({id, std::nullopt, std::move(info)});
    cut_.tables.push_back(id);
    cut_.inputs.push_back(value);
  }

  // What fills the weights and constants that the part uses.
  void add_sources() {
    for (WeightLoad load : whole_.weights) {
      if (!ids_.contains(load.tensor)) continue;
      load.tensor = ids_.at(load.tensor);
      if (load.bias) load.bias = ids_.at(*load.bias);
      cut_.model.weights.push_back(std::move(load));
    }
    for (VectorLoad load : whole_.vectors) {
      if (!ids_.contains(load.tensor)) continue;
      load.tensor = ids_.at(load.tensor);
      cut_.model.vectors.push_back(std::move(load));
    }
  }

  const ModelGraph& whole_;
  uint32_t tokens_;
  GraphCut cut_;
  std::map<TensorId, TensorId> ids_;  // of the whole graph -> of the part
};

}  // namespace

std::vector<LiveValue> live_at(const Graph& graph, size_t node) {
  std::vector<LiveValue> values;
  for (const TensorId t : live_tensors(graph, node)) values.push_back(value_of(graph.tensors[t]));
  return values;
}

GraphCut cut_graph(const ModelGraph& whole, size_t first, size_t last, uint32_t tokens) {
  return Cutter(whole, tokens).run(first, last);
}

}  // namespace ropewalk
