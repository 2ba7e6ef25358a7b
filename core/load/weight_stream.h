// weight_stream.h — reads the weights of a model, in the order of its list, for packing. A weight
// that is larger than the staging memory comes in parts.
//
// Reads ahead on threads of its own; used from one thread.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "core/load/read_ahead.h"
#include "core/model/model_graph.h"

namespace ropewalk {

class WeightStream {
 public:
  struct Part {
    TensorId tensor;
    abi::Weight weight;  // until the next call of next()
  };

  // Throws Error (out_of_memory) where the ring is too small for the smallest part. REQUIRES:
  // weights and model outlive this.
  WeightStream(const WeightSource& weights, const ModelGraph& model, std::span<std::byte> ring);

  // nullptr after the last. Throws what reading throws.
  const Part* next();

 private:
  std::vector<Part> parts_;
  std::unique_ptr<ReadAhead> reading_;
  size_t taken_ = 0;
};

}  // namespace ropewalk
