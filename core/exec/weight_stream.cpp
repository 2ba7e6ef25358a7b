#include "core/exec/weight_stream.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/checkpoint/weights/weight_room.h"
#include "core/exec/loaded_model.h"
#include "core/exec/weight_parts.h"

namespace ropewalk {
namespace {

constexpr uint32_t kThreads = 4;  // some requests at a time keep a disk busy

abi::WeightUse use_of(const Graph& graph, TensorId tensor) {
  for (const uint32_t node : graph.readers(tensor)) {
    if (graph.nodes[node].op == abi::Op::embed) return abi::WeightUse::embed;
  }
  return abi::WeightUse::matmul;
}

}  // namespace

abi::Weight table_shape(const TableLoad& load, const Graph& graph) {
  const GraphTensor& table = graph.tensors[load.tensor];
  abi::Weight weight;
  weight.use = use_of(graph, load.tensor);
  weight.dtype = table.dtype;
  // A tied lm_head has the dims of a matmul's weight (hidden, vocab), the table (vocab, hidden).
  weight.rows = table.dims[weight.use == abi::WeightUse::matmul ? 0 : 1];
  weight.cols = table.dims[weight.use == abi::WeightUse::matmul ? 1 : 0];
  return weight;
}

WeightStream::WeightStream(const WeightSource& weights, const ModelGraph& model,
                           std::span<std::byte> ring)
    : weights_(weights), model_(model), ring_bytes_(ring.size()) {
  for (const TableLoad& load : model.tables) {
    const abi::Weight shape = table_shape(load, model.graph);
    const TableInfo info{load.name, shape.cols, shape.rows};
    add({load.tensor, load.name, {}}, shape,
        [this, info, use = shape.use](const Columns& tokens, std::span<std::byte> room) {
          abi::Weight weight = weights_.load_table(info, tokens, room);
          weight.use = use;
          return weight;
        });
  }
  for (const LinearLoad& load : model.linears)
    add({load.weight, load.info.prefix, {}}, linear_shape(load.info),
        [this, &load](const Columns& columns, std::span<std::byte> room) {
          return weights_.load_linear(load.info, columns, room);
        });
  reading_ = std::make_unique<ReadAhead>(std::move(jobs_), kThreads, ring);
}

template <class Read>
void WeightStream::add(Part part, const abi::Weight& shape, const Read& read) {
  const std::vector<Columns> parts =
      parts_of(shape, model_.graph.tensors[part.tensor].column_order, ring_bytes_);
  if (parts.empty()) {
    abi::Weight least = shape;
    least.cols = abi::kPartColumns;
    throw Error(
        ExitCode::out_of_memory, part.name,
        fmt::format("the backend gives {} of host memory for loading, {} of its columns "
                    "need {}",
                    format_bytes(ring_bytes_), abi::kPartColumns, format_bytes(room_bytes(least))),
        "Use another backend");
  }
  for (const Columns& columns : parts) {
    abi::Weight some = shape;
    some.cols = columns.count;
    parts_.push_back(part);
    jobs_.push_back({[read, columns](std::span<std::byte> room) { return read(columns, room); },
                     room_bytes(some)});
  }
}

const WeightStream::Part* WeightStream::next() {
  if (taken_ == parts_.size()) return nullptr;
  Part& part = parts_[taken_++];
  part.weight = reading_->next();
  return &part;
}

}  // namespace ropewalk
