// lower.h — from a node of the graph to its launch.
//
// Everything a launch needs is looked up once, when a program is compiled; what comes out is a
// function of a stream that can be recorded or called for each step.
#pragma once

#include <functional>

#include "backends/cuda/claim.h"
#include "backends/cuda/cublas.h"
#include "backends/cuda/memory.h"
#include "backends/cuda/step.h"
#include "backends/cuda/weights.h"

namespace ropewalk::cuda {

// A program's memory beside the graph's own. Nodes run one after another, so that they share it.
struct Workspace {
  uint64_t partial_floats = 0;  // sums of splits, attention's parts
  uint64_t arrival_words = 0;   // zero between nodes, so that each program has its own
  uint64_t long_bytes = 0;  // of a product of many rows, cuBLAS's own included; 0: there is none

  uint64_t partial_bytes() const { return align(partial_floats * 4); }
  uint64_t arrival_bytes() const { return align(arrival_words * 4); }
  uint64_t shared_bytes() const { return partial_bytes() + long_bytes; }

 private:
  static uint64_t align(uint64_t bytes) { return (bytes + 255) / 256 * 256; }
};

// How products of many rows are made: kLeastLongRows.
enum class LongProducts { packed, cublas };

// What a program of this shape needs. Throws Failure (unsupported) for a node that is not claimed.
Workspace workspace_of(const abi::CompileRequest& request, uint32_t multiprocessors,
                       LongProducts long_products);

// What lowering knows of its program.
struct Surroundings {
  const abi::Graph& graph;
  abi::ProgramShape shape;
  const Memory& memory;
  const PackedWeights& weights;
  StepView step;
  float* partials;
  uint32_t* arrivals;
  std::byte* long_place;  // Workspace::long_bytes, from cuBLAS's workspace on
  Cublas* cublas;         // null: LongProducts::packed
  uint32_t multiprocessors;
};

using LaunchNode = std::function<void(cudaStream_t)>;

// One claimed step: a node or a fusion. Throws Failure (invalid_argument) where a slice is outside
// its buffer or a weight was not packed, (unsupported) for nodes that are neither.
LaunchNode lower(std::span<const uint32_t> nodes, const Surroundings& around);

}  // namespace ropewalk::cuda
