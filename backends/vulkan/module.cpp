// module.cpp — the door of the Vulkan backend: its name, its options and its devices.
#include <memory>
#include <string>

#include "backends/vulkan/device.h"
#include "core/abi/backend.h"
#include "core/abi/plugin.h"

namespace ropewalk::vulkan {
namespace {

class Backend final : public abi::Backend {
 public:
  explicit Backend(const abi::Options& options) : options_(options) {}

  abi::Status device_count(uint32_t* count) noexcept override {
    return abi::guard([&] {
      *count = static_cast<uint32_t>(instance().devices().size());
      if (*count == 0)
        throw abi::Failure(abi::StatusCode::no_device, "no Vulkan device: no driver is installed");
    });
  }
  abi::Status describe(uint32_t index, abi::DeviceInfo* info) noexcept override {
    return abi::guard([&] {
      const Features features = examine(instance(), device(index), options_);
      *info = features.info;
      if (!features.unusable.empty())
        throw abi::Failure(abi::StatusCode::no_device, features.unusable);
    });
  }
  abi::Status open(uint32_t index, abi::Device** opened) noexcept override {
    return abi::guard([&] {
      const VkPhysicalDevice physical = device(index);
      *opened = new Device(instance_, physical, options_);
    });
  }
  void release() noexcept override { delete this; }

 private:
  Instance& instance() {
    if (!instance_) instance_ = std::make_shared<Instance>(options_);
    return *instance_;
  }
  VkPhysicalDevice device(uint32_t index) {
    const auto& devices = instance().devices();
    if (index >= devices.size())
      throw abi::Failure(abi::StatusCode::no_device, "device " + std::to_string(index) + " of " +
                                                         std::to_string(devices.size()));
    return devices[index];
  }

  const Options options_;
  std::shared_ptr<Instance> instance_;
};

}  // namespace
}  // namespace ropewalk::vulkan

extern "C" const ropewalk::abi::Module ropewalk_module =
    ropewalk::abi::make_module<ropewalk::abi::Backend, ropewalk::vulkan::Backend>(
        {.name = "vulkan",
         .version = "0.1.0",
         .help = "Any GPU with Vulkan 1.2 and buffer addresses.",
         .source = "core/graph/ops.md",
         .options = ropewalk::vulkan::kOptions});
