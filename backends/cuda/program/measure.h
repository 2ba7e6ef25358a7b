// measure.h — the device's own ceilings, by which results are judged. Stateless.
#pragma once

#include "backends/cuda/device/memory.h"
#include "core/abi/backend.h"

namespace ropewalk::cuda {

// Random f16 numbers, core/abi/random_fill.h, when it returns. `bytes` is a multiple of 16.
void fill_random(std::byte* to, uint64_t bytes, uint32_t seed, Context& context);

// The median of several runs, timed by events; of what moves memory that of the fastest kernel.
// Throws Failure (unsupported where the rate of products is asked and there is no cuBLAS;
// out_of_memory).
double measure(abi::Measurement what, Context& context, Memory& memory);

}  // namespace ropewalk::cuda
