// shared_resources.h — what all programs of a device share, had while a model is loaded: a
// program's first use allocates nothing but its recording.
#pragma once

#include <memory>

#include "backends/cuda/device/cublas.h"
#include "backends/cuda/gptq/large_batch/slices.h"
#include "backends/cuda/program/step_inputs.h"

namespace ropewalk::cuda {

struct Common {
  explicit Common(Context& context) : inputs(context) {}

  StepInputs inputs;
  std::unique_ptr<Cublas> cublas;  // of the first request that has long products
  std::unique_ptr<Slices> slices;
};

}  // namespace ropewalk::cuda
