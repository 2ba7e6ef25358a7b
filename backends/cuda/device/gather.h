// gather.h — reorders the rows and columns of a dense weight. Stateless.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace ropewalk::cuda {

struct Gather {
  const std::byte* from;         // (cols, rows)
  const uint32_t* row_order;     // (rows) or null
  const uint32_t* column_order;  // (cols) or null
  uint32_t rows, cols;
  uint32_t element_bytes;  // 2 or 4
};

// to[n][k] = from[column_order[n]][row_order[k]]. Launch errors are left for cudaGetLastError().
void gather(const Gather& op, std::byte* to, cudaStream_t stream);

}  // namespace ropewalk::cuda
