// pack.h — kernels that lay a GPTQ weight out as layout.h says, from its stored tensors. Stateless.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "backends/cuda/gptq/fragment.h"
#include "backends/cuda/gptq/layout.h"

namespace ropewalk::cuda::gptq {

// REQUIRES: `to` has total_words(layout), `from` is in device memory. Launch errors are left for
// cudaGetLastError().
void pack(const Stored& from, const Layout& layout, uint32_t* to, cudaStream_t stream);

}  // namespace ropewalk::cuda::gptq
