// tensor_map.h — a matrix of f16 in global memory from which the copy engine takes boxes, swizzled
// on their way to shared memory as wgmma_layout.h draws it. From Hopper on. A kernel takes it as a
// `const __grid_constant__` parameter.
#pragma once

#include <cstdint>

namespace ropewalk::cuda {

// The driver's CUtensorMap: 128 bytes, by CUDA 13 aligned to as many.
struct alignas(128) TensorMap {
  uint64_t words[16];
};

struct MatrixInMemory {
  const void* data;   // (rows, columns) f16; a multiple of 16
  uint64_t rows;      // at most 2^32
  uint32_t columns;   // a multiple of 64
  uint32_t box_rows;  // at most 256; a box has 64 columns
};

// Throws Failure where the driver is too old for it (unsupported) or refuses the matrix (internal).
TensorMap tensor_map_of(const MatrixInMemory& matrix);

}  // namespace ropewalk::cuda
