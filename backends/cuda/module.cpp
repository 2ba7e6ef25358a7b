// module.cpp — the door of the CUDA backend: its name, its options and its devices.
#include "backends/cuda/device.h"
#include "core/abi/backend.h"
#include "core/abi/plugin.h"

namespace ropewalk::cuda {
namespace {

// Loads nothing of CUDA's before it is asked for devices: cudart is part of this library and looks
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

}  // namespace
}  // namespace ropewalk::cuda

extern "C" const ropewalk::abi::Module ropewalk_module =
    ropewalk::abi::make_module<ropewalk::abi::Backend, ropewalk::cuda::Backend>(
        {.name = "cuda",
         .version = "0.1.0",
         .help = "NVIDIA GPUs of compute capability 7.5 and above.",
         .source = "core/graph/ops.md",
         .options = ropewalk::cuda::kOptions});
