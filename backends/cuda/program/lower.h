// lower.h — from a step of the graph to its launches.
//
// Everything that a launch needs is looked up once, when a program is compiled. The result is a
// function of a stream, which can be recorded or called for each step.
#pragma once

#include <functional>
#include <string>

#include "backends/cuda/gptq/crossovers.h"
#include "backends/cuda/kernel/step.h"
#include "backends/cuda/program/operands.h"
#include "backends/cuda/program/prepared.h"
#include "backends/cuda/program/workspace.h"

namespace ropewalk::cuda {

// What lowering knows of its program.
struct CompileContext {
  TensorTable tensors;
  abi::ProgramShape shape;
  StepView step;
  float* partials;
  uint32_t* tile_counters;
  PreparedBuffers* prepared;
  std::byte* x_f16;
  float* x_scales;
  LargeBatchMatmul::Resources large_batch;  // null cublas: LargeBatchLibrary::none
  Target target;
};

struct LaunchStep {
  std::string name;  // abi::group_name(), for profilers
  std::function<void(cudaStream_t)> launch;
};

// What the steps of a program of this shape need; step_bytes is not included.
WorkspaceNeeds workspace_needs(const abi::CompileRequest& request, const Target& target);

// One claimed step: a node or a fusion. Throws Failure (invalid_argument) where a slice is outside
// its buffer or a weight was not packed, (unsupported) for nodes that are neither.
LaunchStep lower(std::span<const uint32_t> nodes, const CompileContext& context);

}  // namespace ropewalk::cuda
