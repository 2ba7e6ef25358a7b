#include "backends/vulkan/device/api.h"

#ifdef _WIN32
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>
#undef CreateSemaphore  // a macro there, a function of Vulkan here
#else
#include <dlfcn.h>
#endif

#include "core/abi/guard.h"

namespace ropewalk::vulkan {
namespace {

using abi::Failure;
using abi::StatusCode;

template <class Function, class Find>
void load(Function& to, const char* name, const Find& find) {
  to = reinterpret_cast<Function>(find(name));
  if (!to)
    throw Failure(StatusCode::no_device, std::string("the Vulkan loader has no ") + name +
                                             ": it is older than Vulkan 1.2");
}

// Null without such a library. Never closed: drivers that a loader has loaded leave threads and
// destructors behind.
PFN_vkGetInstanceProcAddr open_loader(const std::string& name, bool* found) {
  constexpr char kEntry[] = "vkGetInstanceProcAddr";
#ifdef _WIN32
  const HMODULE library = LoadLibraryA(name.c_str());
  *found = library != nullptr;
  if (!library) return nullptr;
  void* const entry = reinterpret_cast<void*>(GetProcAddress(library, kEntry));
  return reinterpret_cast<PFN_vkGetInstanceProcAddr>(entry);
#else
  void* const library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  *found = library != nullptr;
  return library ? reinterpret_cast<PFN_vkGetInstanceProcAddr>(dlsym(library, kEntry)) : nullptr;
#endif
}

}  // namespace

#define RW_VK_LOAD(name) load(api.name, "vk" #name, find);

GlobalApi load_global(const std::string& loader_name) {
  bool found = false;
  GlobalApi api;
  api.GetInstanceProcAddr = open_loader(loader_name, &found);
  if (!found)
    throw Failure(StatusCode::no_device, "no Vulkan loader (" + loader_name +
                                             "): install the package libvulkan1 or a driver");
  if (!api.GetInstanceProcAddr)
    throw Failure(StatusCode::no_device, loader_name + " is no Vulkan loader");
  const auto find = [&](const char* name) { return api.GetInstanceProcAddr(nullptr, name); };
  RW_VK_GLOBAL(RW_VK_LOAD)
  return api;
}

InstanceApi load_instance(const GlobalApi& global, VkInstance instance) {
  InstanceApi api;
  const auto find = [&](const char* name) { return global.GetInstanceProcAddr(instance, name); };
  RW_VK_INSTANCE(RW_VK_LOAD)
  return api;
}

DeviceApi load_device(const InstanceApi& instance, VkDevice device) {
  DeviceApi api;
  const auto find = [&](const char* name) { return instance.GetDeviceProcAddr(device, name); };
  RW_VK_DEVICE(RW_VK_LOAD)
  return api;
}

std::string result_name(VkResult result) {
  switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
      return "out of host memory";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
      return "out of device memory";
    case VK_ERROR_DEVICE_LOST:
      return "device lost";
    case VK_ERROR_INCOMPATIBLE_DRIVER:
      return "no driver found";
    case VK_ERROR_INITIALIZATION_FAILED:
      return "the driver could not start";
    case VK_ERROR_FEATURE_NOT_PRESENT:
      return "feature not present";
    case VK_ERROR_EXTENSION_NOT_PRESENT:
      return "extension not present";
    default:
      return "VkResult " + std::to_string(static_cast<int>(result));
  }
}

void check(VkResult result, const char* what) {
  if (result >= 0) return;
  StatusCode code = StatusCode::internal;
  if (result == VK_ERROR_OUT_OF_HOST_MEMORY || result == VK_ERROR_OUT_OF_DEVICE_MEMORY)
    code = StatusCode::out_of_memory;
  if (result == VK_ERROR_DEVICE_LOST) code = StatusCode::device_lost;
  if (result == VK_ERROR_INCOMPATIBLE_DRIVER || result == VK_ERROR_INITIALIZATION_FAILED)
    code = StatusCode::no_device;
  throw Failure(code, std::string(what) + ": " + result_name(result));
}

}  // namespace ropewalk::vulkan
