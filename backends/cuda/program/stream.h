// stream.h — kernels that move memory and nothing else, for measure(): no single shape reads or
// copies fastest on every card, so there are several and the best counts. Stateless.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace ropewalk::cuda {

struct StreamDevice {
  uint32_t multiprocessors;
  bool copies_in_bulk;  // bulk.cuh
};

// Reads `bytes`, a multiple of 16; `sink` (1) is written where a sum is one that random numbers
// hardly have.
using ReadStream =
    std::function<void(const std::byte* from, uint64_t bytes, uint32_t* sink, cudaStream_t stream)>;
std::vector<ReadStream> read_streams(const StreamDevice& device);

using CopyStream =
    std::function<void(const std::byte* from, std::byte* to, uint64_t bytes, cudaStream_t stream)>;
std::vector<CopyStream> copy_streams(const StreamDevice& device);

// Random f16 numbers, core/abi/random_fill.h: what moves and multiplies zeros can be faster than
// with other numbers. `bytes` is a multiple of 16.
void fill_random(std::byte* to, uint64_t bytes, uint32_t seed, const StreamDevice& device,
                 cudaStream_t stream);

}  // namespace ropewalk::cuda
