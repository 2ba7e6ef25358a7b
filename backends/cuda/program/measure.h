// measure.h — what the device can do at best: the ceilings that results are compared with.
// Stateless.
#pragma once

#include "backends/cuda/device/memory.h"
#include "core/abi/backend.h"

namespace ropewalk::cuda {

// Fills memory with random f16 numbers (core/abi/random_fill.h) and waits. `bytes` is a multiple
// of 16.
void fill_random(std::byte* to, uint64_t bytes, uint32_t seed, Context& context);

// The median of several runs, timed by events; for bandwidths, of the fastest kernel. Throws
// Failure: unsupported where the rate of products is asked for without cuBLAS, out_of_memory.
double measure(abi::Measurement what, Context& context, Memory& memory);

}  // namespace ropewalk::cuda
