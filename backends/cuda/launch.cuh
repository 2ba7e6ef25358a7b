// launch.cuh — the one place where kernels are launched. Errors are left for cudaGetLastError().
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace ropewalk::cuda {

// Where a kernel is a plain function (tests/cuda/emulator), the emulator brings this itself.
#if defined(__CUDACC__)
template <class... Parameters, class... Arguments>
void run_kernel(void (*kernel)(Parameters...), dim3 grid, uint32_t threads, cudaStream_t stream,
                const Arguments&... arguments) {
  kernel<<<grid, threads, 0, stream>>>(arguments...);
}
#endif

}  // namespace ropewalk::cuda
