// weight_stream.h — the weights of a model, one after another in the order of its lists, in parts
// where a weight is larger than the memory that it comes through.
//
// Reads ahead on threads of its own; used from one thread.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/exec/read_ahead.h"
#include "core/model/model_graph.h"
#include "core/model/weights.h"

namespace ropewalk {

// As linear_shape() (linear.h) of a table.
abi::Weight table_shape(const TableLoad& load, const Graph& graph);

class WeightStream {
 public:
  struct Part {
    TensorId tensor;
    std::string_view name;
    abi::Weight weight;  // until the next call of next()
  };

  // Throws Error (out_of_memory) where the ring is too small for the least part. REQUIRES: weights
  // and model outlive this.
  WeightStream(const WeightSource& weights, const ModelGraph& model, std::span<std::byte> ring);

  // nullptr after the last. Throws what reading throws.
  const Part* next();

 private:
  template <class Read>
  void add(Part part, const abi::Weight& shape, const Read& read);

  const WeightSource& weights_;
  const ModelGraph& model_;
  const uint64_t ring_bytes_;
  std::vector<Part> parts_;
  std::vector<ReadAhead::Job> jobs_;
  std::unique_ptr<ReadAhead> reading_;
  size_t taken_ = 0;
};

}  // namespace ropewalk
