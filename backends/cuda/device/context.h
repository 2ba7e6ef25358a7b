// context.h — one opened CUDA device: its streams, its properties, and whether it still lives.
//
// A sticky CUDA error poisons the context of the process for good, so the first one loses the
// device: every later call throws device_lost with the first reason, and nothing is destroyed any
// more. Calls come from one thread at a time, but not always from the same one, so every entry
// makes the device current first.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <string>

#include "backends/cuda/device/tuning.h"
#include "core/abi/backend.h"

namespace ropewalk::cuda {

// Number of devices. Throws Failure (no_device): no driver, too old a driver, no visible device.
uint32_t count_devices();
// Fills in `*info` as far as it is known. Throws Failure (no_device) where the device cannot be
// used.
void examine(uint32_t index, abi::DeviceInfo* info);

// The CUDA version of the driver, 13000 for 13.0; 0 without a driver.
int driver_version();

class Context {
 public:
  // Throws Failure (no_device).
  Context(uint32_t index, uint64_t step_limit_ms, const Tuning& tuning);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const abi::DeviceInfo& info() const { return info_; }
  uint32_t multiprocessors() const { return multiprocessors_; }
  uint64_t cache_bytes() const { return cache_bytes_; }    // the second-level cache
  uint32_t capability() const { return capability_; }      // 90 for sm_90
  uint32_t shared_bytes() const { return shared_bytes_; }  // max of a thread block
  bool has_bf16() const { return capability_ >= 80; }
  bool copies_in_bulk() const { return capability_ >= 90; }  // bulk.cuh
  cudaStream_t stream() const { return stream_; }
  // A second stream. The first one must wait for its work before a step ends.
  cudaStream_t side_stream() const { return side_stream_; }
  bool alive() const { return lost_.empty(); }

  // Makes the device current in this thread. Throws Failure (device_lost).
  void enter();
  // Throws Failure for anything but success; a sticky error also loses the device.
  void check(cudaError_t error, const char* what);
  // Throws for an error of a launch since the last call.
  void check_launches(const char* what) { check(cudaGetLastError(), what); }
  // Waits until the stream is empty. A step that exceeds the limit of the options loses the device.
  void wait();

 private:
  uint32_t attribute(cudaDeviceAttr which, const char* what);

  const uint64_t step_limit_ms_;
  const int index_;
  abi::DeviceInfo info_{};
  uint32_t multiprocessors_ = 0;
  uint64_t cache_bytes_ = 0;
  uint32_t capability_ = 0, shared_bytes_ = 0;
  cudaStream_t stream_ = nullptr, side_stream_ = nullptr;
  std::string lost_;
};

}  // namespace ropewalk::cuda
