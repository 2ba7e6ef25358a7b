// host_device.h — lets index maths be plain functions that the host's tests and the kernels share.
#pragma once

#if defined(__CUDACC__)
#define RW_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define RW_HOST_DEVICE inline
#endif
