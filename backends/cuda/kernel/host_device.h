// host_device.h — lets kernels and the host's tests share index arithmetic as plain functions.
#pragma once

#if defined(__CUDACC__)
#define RW_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define RW_HOST_DEVICE inline
#endif
