// probe.h — whether this build has kernels for the current device. Stateless.
#pragma once

#include <cuda_runtime_api.h>

namespace ropewalk::cuda {

// cudaErrorNoKernelImageForDevice where it was built only for other architectures.
cudaError_t probe_kernels();

}  // namespace ropewalk::cuda
