// lower.h — from a step of the graph to its launches.
//
// Everything a launch needs is looked up once, when a program is compiled; what comes out is a
// function of a stream that can be recorded or called for each step.
#pragma once

#include <functional>
#include <string>

#include "backends/cuda/gptq/crossovers.h"
#include "backends/cuda/gptq/large_batch/matmul.h"
#include "backends/cuda/gptq/large_batch/slice_columns.h"
#include "backends/cuda/kernel/step.h"
#include "backends/cuda/program/operands.h"

namespace ropewalk::cuda {

// Where in a program's workspace is what.
struct WorkspacePlaces {
  std::byte *arrivals, *step, *partials, *prepared, *halves, *half_scales, *long_products;
};

// A program's memory beside the graph's own: the same for all programs, which run one after
// another, as steps do; the slices of long products alone run ahead, and have places of their own.
struct Workspace {
  uint64_t arrival_words = 0;   // zero between launches: of one size for all of a graph's programs
  uint64_t step_bytes = 0;      // step_block.h
  uint64_t partial_floats = 0;  // sums of splits, attention's parts
  uint64_t prepared_bytes = 0;  // x of products of few rows, gptq/lean/x.h
  uint32_t half_rows = 0;       // of x as f16 and their scales, for packed products
  uint32_t half_width = 0;
  LongNeeds long_needs;

  uint64_t total() const;
  // One after another in `total()` bytes.
  WorkspacePlaces places(std::byte* begin) const;

 private:
  struct Offsets {
    uint64_t arrivals, step, partials, prepared, halves, half_scales, long_products, end;
  };
  Offsets offsets() const;
};

// What a program of this shape needs; but for what a step brings.
Workspace workspace_of(const abi::CompileRequest& request, const Target& target);

// What lowering knows of its program.
struct Surroundings {
  Places places;
  abi::ProgramShape shape;
  StepView step;
  float* partials;
  uint32_t* arrivals;
  std::byte* prepared;
  std::byte* halves;
  float* half_scales;
  LongProduct::Host long_host;  // null cublas: LongProducts::packed
  Target target;
};

struct LaunchStep {
  std::string name;  // of its first node, and how many follow: for traces
  std::function<void(cudaStream_t)> launch;
};

// One claimed step: a node or a fusion. Throws Failure (invalid_argument) where a slice is outside
// its buffer or a weight was not packed, (unsupported) for nodes that are neither.
LaunchStep lower(std::span<const uint32_t> nodes, const Surroundings& around);

}  // namespace ropewalk::cuda
