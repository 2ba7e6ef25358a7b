// backend.h — the CUDA backend behind the ABI: finds devices and opens them. Stateless.
#pragma once

#include "backends/cuda/device.h"
#include "core/abi/backend.h"
#include "core/abi/guard.h"

namespace ropewalk::cuda {

// Loads nothing of CUDA before it is asked for devices: cudart is part of this library and looks
// for the driver itself.
class Backend final : public abi::Backend {
 public:
  explicit Backend(const abi::Options& options) : options_(options) {}

  abi::Status device_count(uint32_t* count) noexcept override {
    return abi::guard([&] { *count = count_devices(); });
  }
  abi::Status describe(uint32_t index, abi::DeviceInfo* info) noexcept override {
    return abi::guard([&] { examine(index, info); });
  }
  abi::Status open(uint32_t index, abi::Device** device) noexcept override {
    return abi::guard([&] { *device = new Device(index, options_); });
  }
  void release() noexcept override { delete this; }

 private:
  const Options options_;
};

}  // namespace ropewalk::cuda
