// interposed.h — a Vulkan loader between a program and the real one: some functions are its own,
// all others the real loader's.
//
// A test's loader is one source that includes this and defines own_functions().
#pragma once

#ifndef VK_NO_PROTOTYPES
#define VK_NO_PROTOTYPES
#endif
#include <dlfcn.h>
#include <vulkan/vulkan.h>

#include <map>
#include <string>
#include <string_view>

namespace {

using Functions = std::map<std::string, PFN_vkVoidFunction>;
#define RW_OWN(name, function) \
  { #name, reinterpret_cast < PFN_vkVoidFunction>(&(function)) }
const Functions& own_functions();

// A function of the real loader.
void* real(const char* name) {
  static void* const library = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
  return library ? dlsym(library, name) : nullptr;
}
#define RW_REAL(name) reinterpret_cast<PFN_##name>(real(#name))

PFN_vkVoidFunction VKAPI_CALL function_of_device(VkDevice device, const char* name);

PFN_vkVoidFunction own(const char* name) {
  if (std::string_view(name) == "vkGetDeviceProcAddr")
    return reinterpret_cast<PFN_vkVoidFunction>(&function_of_device);
  const auto found = own_functions().find(name);
  return found == own_functions().end() ? nullptr : found->second;
}

PFN_vkVoidFunction VKAPI_CALL function_of_device(VkDevice device, const char* name) {
  const auto function = own(name);
  return function ? function : RW_REAL(vkGetDeviceProcAddr)(device, name);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) PFN_vkVoidFunction VKAPI_CALL
vkGetInstanceProcAddr(VkInstance instance, const char* name) {
  if (const auto function = own(name)) return function;
  const auto next = RW_REAL(vkGetInstanceProcAddr);
  return next ? next(instance, name) : nullptr;
}
