// launch.cuh — the one place where kernels are launched. Errors are left for cudaGetLastError().
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <set>
#include <utility>

namespace ropewalk::cuda {

// When a kernel begins: after all in front of it; or early, as async.cuh's let_next_kernel_start()
// says, from sm_90 on.
enum class Start : uint32_t { after, early };

struct LaunchRoom {
  uint32_t grid, threads;
  uint32_t shared_bytes;  // dynamic
  Start start;
  cudaStream_t stream;
};

// Where a kernel is a plain function (tests/cuda/emulator), the emulator brings this itself.
#if defined(__CUDACC__)
// L1 and shared memory are one memory, divided anew when the next kernel wants more: a
// multiprocessor is idle for that while (exllamav3 notes some 4 us a launch). So all kernels want
// the most. Once for each kernel and device, which a program's first launches, not recorded, do.
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
void run_kernel_in(void (*kernel)(Parameters...), const LaunchRoom& room,
                   const Arguments&... arguments) {
  prefer_shared_memory(reinterpret_cast<const void*>(kernel));
  static_cast<void>(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                         static_cast<int>(room.shared_bytes)));
  cudaLaunchAttribute early{};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(room.grid);
  config.blockDim = dim3(room.threads);
  config.dynamicSmemBytes = room.shared_bytes;
  config.stream = room.stream;
  config.attrs = &early;
  config.numAttrs = room.start == Start::early ? 1 : 0;
  static_cast<void>(cudaLaunchKernelEx(&config, kernel, arguments...));
}

// Thread blocks that a multiprocessor runs at a time; at least 1.
template <class... Parameters>
uint32_t resident_blocks(void (*kernel)(Parameters...), uint32_t threads) {
  int blocks = 0;
  static_cast<void>(cudaOccupancyMaxActiveBlocksPerMultiprocessor(
      &blocks, reinterpret_cast<const void*>(kernel), static_cast<int>(threads), 0));
  return static_cast<uint32_t>(std::max(blocks, 1));
}
#endif

}  // namespace ropewalk::cuda
