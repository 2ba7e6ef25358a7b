// shared_resources.h — what all programs of a device share. It is allocated while a model is
// loaded, so that a step allocates nothing.
#pragma once

#include <memory>

#include "backends/cuda/device/cublas.h"
#include "backends/cuda/device/logit_maxima.h"
#include "backends/cuda/gptq/large_batch/slices.h"
#include "backends/cuda/program/step_inputs.h"

namespace ropewalk::cuda {

struct SharedResources {
  explicit SharedResources(Context& context) : inputs(context), keys(context) {}

  StepInputs inputs;
  LogitKeys keys;
  std::unique_ptr<Cublas> cublas;  // null before the first program with large-batch products
  std::unique_ptr<Slices> slices;  // likewise
  // Of the program whose step was enqueued last; null: it is not asked, or computes no logits.
  const LogitMaxima* maxima = nullptr;
};

}  // namespace ropewalk::cuda
