// stream.h — kernels that only move memory, for measure(). No single shape reads or copies fastest
// on every GPU, so there are several and the best one counts. Stateless.
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

// Reads `bytes`, a multiple of 16. Writes `sink` (1) if the sum is a certain number, which random
// data hardly give: the compiler must not remove the loads.
using ReadStream =
    std::function<void(const std::byte* from, uint64_t bytes, uint32_t* sink, cudaStream_t stream)>;
std::vector<ReadStream> read_streams(const StreamDevice& device);

using CopyStream =
    std::function<void(const std::byte* from, std::byte* to, uint64_t bytes, cudaStream_t stream)>;
std::vector<CopyStream> copy_streams(const StreamDevice& device);

// Fills with random f16 numbers (core/abi/random_fill.h): zeros can move and multiply faster than
// other numbers. `bytes` is a multiple of 16.
void fill_random(std::byte* to, uint64_t bytes, uint32_t seed, const StreamDevice& device,
                 cudaStream_t stream);

}  // namespace ropewalk::cuda
