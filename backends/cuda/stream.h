// stream.h — kernels that move memory and nothing else, for measure(). Stateless.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace ropewalk::cuda {

// Reads `bytes`, a multiple of 16; `sink` (1) is written where the sum is one that cannot be.
void read_stream(const std::byte* from, uint64_t bytes, uint32_t* sink, uint32_t blocks,
                 cudaStream_t stream);
void copy_stream(const std::byte* from, std::byte* to, uint64_t bytes, uint32_t blocks,
                 cudaStream_t stream);
// f16 in [-1, 1), different from place to place: products of zeros run faster than those of
// numbers.
void fill_halves(std::byte* to, uint64_t count, uint32_t blocks, cudaStream_t stream);

}  // namespace ropewalk::cuda
