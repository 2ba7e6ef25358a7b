// measure.h — the device's own ceilings, by which results are judged. Stateless.
#pragma once

#include "backends/cuda/memory.h"
#include "core/abi/backend.h"

namespace ropewalk::cuda {

// The median of several runs, timed by events. Throws Failure (unsupported where the rate of
// products is asked and there is no cuBLAS; out_of_memory).
double measure(abi::Measurement what, Context& context, Memory& memory);

}  // namespace ropewalk::cuda
