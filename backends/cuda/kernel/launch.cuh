// launch.cuh — the one place where kernels are launched. Errors are left for cudaGetLastError().
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <set>
#include <utility>

namespace ropewalk::cuda {

// When a kernel starts: after all kernels in front of it; or early, when the one in front of it
// allows it (async.cuh: let_next_kernel_start), from sm_90 on.
enum class Start : uint32_t { after, early };

struct LaunchShape {
  dim3 grid;
  uint32_t threads;
  uint32_t shared_bytes;  // dynamic
  Start start;
  cudaStream_t stream;
};

// Where a kernel is a plain function (tests/cuda/emulator), the emulator brings this itself.
#if defined(__CUDACC__)
// L1 and shared memory are one memory. A multiprocessor idles while the boundary between them moves
// for the next kernel (exllamav3 notes some 4 us a launch). So all kernels ask for the max of
// shared memory. This is set once per kernel and device, by the first launches of a program, which
// are not recorded.
inline void prefer_shared_memory(const void* kernel) {
  static std::mutex mutex;
  static std::set<std::pair<int, const void*>> done;
  int device = 0;
  static_cast<void>(cudaGetDevice(&device));
  const std::lock_guard lock(mutex);
  if (done.insert({device, kernel}).second)
    static_cast<void>(cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout,
                                           cudaSharedmemCarveoutMaxShared));
}

template <class... Parameters, class... Arguments>
void run_kernel(void (*kernel)(Parameters...), dim3 grid, uint32_t threads, cudaStream_t stream,
                const Arguments&... arguments) {
  prefer_shared_memory(reinterpret_cast<const void*>(kernel));
  kernel<<<grid, threads, 0, stream>>>(arguments...);
}

// A kernel with dynamic shared memory.
template <class... Parameters, class... Arguments>
void run_kernel_in(void (*kernel)(Parameters...), const LaunchShape& shape,
                   const Arguments&... arguments) {
  prefer_shared_memory(reinterpret_cast<const void*>(kernel));
  static_cast<void>(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                         static_cast<int>(shape.shared_bytes)));
  cudaLaunchAttribute early{};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = shape.grid;
  config.blockDim = dim3(shape.threads);
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = shape.stream;
  config.attrs = &early;
  config.numAttrs = shape.start == Start::early ? 1 : 0;
  static_cast<void>(cudaLaunchKernelEx(&config, kernel, arguments...));
}

// Thread blocks that run on a multiprocessor at a time; at least 1.
template <class... Parameters>
uint32_t resident_blocks(void (*kernel)(Parameters...), uint32_t threads) {
  int blocks = 0;
  static_cast<void>(cudaOccupancyMaxActiveBlocksPerMultiprocessor(
      &blocks, reinterpret_cast<const void*>(kernel), static_cast<int>(threads), 0));
  return static_cast<uint32_t>(std::max(blocks, 1));
}
#endif

}  // namespace ropewalk::cuda
