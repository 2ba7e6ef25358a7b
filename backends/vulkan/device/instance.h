// instance.h — the Vulkan instance of one backend object, and the messages of the validation layer.
//
// Created when first needed, so that device_count() reports a machine without Vulkan, and the
// module still loads there. Shared by the backend and its devices: either may be released first.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "backends/vulkan/device/api.h"
#include "backends/vulkan/device/options.h"

namespace ropewalk::vulkan {

class Instance {
 public:
  // Throws Failure (no_device) with the reason: no loader, no driver, or no validation layer where
  // one is asked for.
  explicit Instance(const Options& options);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  const InstanceApi& api() const { return api_; }
  // A function that not every driver has; null without it.
  PFN_vkVoidFunction find(const char* name) const {
    return global_.GetInstanceProcAddr(instance_, name);
  }
  // In the loader's order, software devices included.
  const std::vector<VkPhysicalDevice>& devices() const { return devices_; }

  // Throws Failure (internal) with the first message of the validation layer since the last call.
  void require_valid();

 private:
  void create(const Options& options);
  void install_messenger();
  static VkBool32 VKAPI_PTR on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                       VkDebugUtilsMessageTypeFlagsEXT types,
                                       const VkDebugUtilsMessengerCallbackDataEXT* data,
                                       void* self);

  GlobalApi global_;
  InstanceApi api_;
  VkInstance instance_ = VK_NULL_HANDLE;
  VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
  std::vector<VkPhysicalDevice> devices_;
  std::mutex mutex_;           // a driver may call on_message() from a thread of its own
  std::string first_message_;  // since the last require_valid()
};

}  // namespace ropewalk::vulkan
