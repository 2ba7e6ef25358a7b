// rows.h — kernels on rows of values between a model's parts, for the extension "quantize.v1".
// Launch errors are left for cudaGetLastError().
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "core/abi/graph.h"

namespace ropewalk::cuda {

// to (columns, pitch), f16 = from (rows, columns) transposed, f32 or f16; columns [rows, pitch) of
// it are 0. Sets *beyond to 1 where a value is not finite as f16.
struct Transposition {
  const std::byte* from;
  uint16_t* to;
  uint32_t* beyond;
  abi::DType dtype;
  uint32_t rows, columns, pitch;
};
void transpose(const Transposition& op, cudaStream_t stream);

// to (count) = from (count), f32 or f16. *first_bad becomes the place of the first value that is
// not finite, where it is less than what is there.
struct RowCopy {
  const std::byte* from;
  std::byte* to;
  uint32_t* first_bad;
  abi::DType dtype;
  uint32_t count;
};
void copy_rows(const RowCopy& op, cudaStream_t stream);

}  // namespace ropewalk::cuda
