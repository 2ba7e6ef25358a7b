#include "backends/cuda/kernel/tensor_map.h"

#include <cuda.h>
#include <dlfcn.h>

#include <string>

#include "core/abi/guard.h"

namespace ropewalk::cuda {
namespace {

using Encode = decltype(&cuTensorMapEncodeTiled);

// Of the driver that cudart has loaded; it stays loaded.
Encode encode_function() {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  return driver ? reinterpret_cast<Encode>(dlsym(driver, "cuTensorMapEncodeTiled")) : nullptr;
}

}  // namespace

TensorMap tensor_map_of(const MatrixInMemory& matrix) {
  static const Encode encode = encode_function();
  if (!encode)
    throw abi::Failure(abi::StatusCode::unsupported,
                       "the NVIDIA driver has no cuTensorMapEncodeTiled; it needs version 525 or "
                       "newer, or the option attention: auto");
  TensorMap map{};
  static_assert(sizeof map == sizeof(CUtensorMap) && alignof(TensorMap) >= alignof(CUtensorMap));
  const cuuint64_t size[] = {matrix.columns, matrix.rows}, pitch[] = {matrix.columns * 2ull};
  const cuuint32_t box[] = {64, matrix.box_rows}, step[] = {1, 1};
  const CUresult result =
      encode(reinterpret_cast<CUtensorMap*>(&map), CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 2,
             const_cast<void*>(matrix.data), size, pitch, box, step, CU_TENSOR_MAP_INTERLEAVE_NONE,
             CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
             CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS)
    throw abi::Failure(abi::StatusCode::internal, "a tensor map of " + std::to_string(matrix.rows) +
                                                      " x " + std::to_string(matrix.columns) +
                                                      " fails with CUDA error " +
                                                      std::to_string(static_cast<int>(result)));
  return map;
}

}  // namespace ropewalk::cuda
