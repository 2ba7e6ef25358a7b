// pack.h — kernels that lay a GPTQ weight out as layout.h says, from its stored tensors. Stateless.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "backends/cuda/gptq/layout.h"

namespace ropewalk::cuda::gptq {

enum class ScaleType : uint32_t { f16, f32 };

// A weight as stored, in device memory; core/abi/weight.h says how.
struct Stored {
  const uint32_t* qweight;
  const uint32_t* qzeros;
  const std::byte* scales;
  const uint32_t* row_order;     // or null: as stored
  const uint32_t* column_order;  // or null
  ScaleType scale_type;
  uint32_t zero_offset;
};

// REQUIRES: `to` has total_words(layout). Launch errors are left for cudaGetLastError().
void pack(const Stored& from, const Layout& layout, uint32_t* to, cudaStream_t stream);

}  // namespace ropewalk::cuda::gptq
