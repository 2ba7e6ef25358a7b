// instance.h — the Vulkan instance of one backend object, and what the validation layer says of it.
//
// Created when first needed, so that a machine without Vulkan is told so by device_count() and not
// by the door. Shared by the backend and its devices, since either may be released first.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "backends/vulkan/api.h"
#include "backends/vulkan/options.h"

namespace ropewalk::vulkan {

class Instance {
 public:
  // Throws Failure (no_device) with the reason: no loader, no driver, no validation layer though
  // asked for.
  explicit Instance(const Options& options);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  const InstanceApi& api() const { return api_; }
  // In the loader's order, software devices included.
  const std::vector<VkPhysicalDevice>& devices() const { return devices_; }

  // Throws Failure (internal) with the first message of the validation layer since the last call.
  void require_valid();

 private:
  void create(const Options& options);
  void listen();
  static VkBool32 VKAPI_PTR heard(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                  VkDebugUtilsMessageTypeFlagsEXT types,
                                  const VkDebugUtilsMessengerCallbackDataEXT* data, void* self);

  GlobalApi global_;
  InstanceApi api_;
  VkInstance instance_ = VK_NULL_HANDLE;
  VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
  std::vector<VkPhysicalDevice> devices_;
  std::mutex mutex_;  // of said_: a driver may speak from a thread of its own
  std::string said_;
};

}  // namespace ropewalk::vulkan
