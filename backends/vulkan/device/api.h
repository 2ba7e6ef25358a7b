// api.h — the Vulkan functions this backend calls, found at run time.
//
// The loader is opened by name, never linked: the library must load, and say in words what is
// missing, on a machine without Vulkan. The tables are plain data and live as long as their owner.
#pragma once

#ifndef VK_NO_PROTOTYPES
#define VK_NO_PROTOTYPES
#endif
#include <vulkan/vulkan.h>

#include <string>

namespace ropewalk::vulkan {

// Functions are found in three ways, each with its list. A table's members and its loading are both
// made from the list, so that neither lacks a function that the other has.
#define RW_VK_GLOBAL(f)                                                             \
  f(CreateInstance) f(EnumerateInstanceVersion) f(EnumerateInstanceLayerProperties) \
      f(EnumerateInstanceExtensionProperties)

#define RW_VK_INSTANCE(f)                                                                 \
  f(DestroyInstance) f(EnumeratePhysicalDevices) f(GetPhysicalDeviceProperties2)          \
      f(GetPhysicalDeviceFeatures2) f(GetPhysicalDeviceMemoryProperties2)                 \
          f(GetPhysicalDeviceQueueFamilyProperties) f(EnumerateDeviceExtensionProperties) \
              f(CreateDevice) f(GetDeviceProcAddr)

#define RW_VK_DEVICE(f)                                                                            \
  f(DestroyDevice) f(GetDeviceQueue) f(DeviceWaitIdle) f(QueueSubmit) f(CreateBuffer)              \
      f(DestroyBuffer) f(GetBufferMemoryRequirements) f(GetBufferDeviceAddress) f(AllocateMemory)  \
          f(FreeMemory) f(BindBufferMemory) f(MapMemory) f(CreateCommandPool)                      \
              f(DestroyCommandPool) f(AllocateCommandBuffers) f(FreeCommandBuffers)                \
                  f(BeginCommandBuffer) f(EndCommandBuffer) f(CmdPipelineBarrier) f(CmdCopyBuffer) \
                      f(CmdBindPipeline) f(CmdPushConstants) f(CmdDispatch) f(CreateShaderModule)  \
                          f(DestroyShaderModule) f(CreatePipelineLayout) f(DestroyPipelineLayout)  \
                              f(CreateComputePipelines) f(DestroyPipeline) f(CreatePipelineCache)  \
                                  f(DestroyPipelineCache) f(GetPipelineCacheData)                  \
                                      f(CreateSemaphore) f(DestroySemaphore) f(WaitSemaphores)     \
                                          f(SignalSemaphore) f(GetSemaphoreCounterValue)           \
                                              f(CreateQueryPool) f(DestroyQueryPool)               \
                                                  f(GetQueryPoolResults) f(CmdResetQueryPool)      \
                                                      f(CmdWriteTimestamp)

#define RW_VK_MEMBER(name) PFN_vk##name name = nullptr;

struct GlobalApi {
  PFN_vkGetInstanceProcAddr GetInstanceProcAddr = nullptr;
  RW_VK_GLOBAL(RW_VK_MEMBER)
};
struct InstanceApi {
  RW_VK_INSTANCE(RW_VK_MEMBER)
};
struct DeviceApi {
  RW_VK_DEVICE(RW_VK_MEMBER)
};

// A structure of the API with its type set and everything else zero.
template <class Structure>
Structure structure(VkStructureType type) {
  Structure zeroed{};
  zeroed.sType = type;
  return zeroed;
}

// The loader's library on this system.
#if defined(_WIN32)
inline constexpr char kLoaderName[] = "vulkan-1.dll";
#elif defined(__APPLE__)
inline constexpr char kLoaderName[] = "libvulkan.1.dylib";
#else
inline constexpr char kLoaderName[] = "libvulkan.so.1";
#endif

// Each throws Failure (no_device) without a loader, or where it lacks a function of Vulkan 1.2.
GlobalApi load_global(const std::string& loader_name);
InstanceApi load_instance(const GlobalApi& global, VkInstance instance);
DeviceApi load_device(const InstanceApi& api, VkDevice device);

// Throws Failure for a result below zero: out_of_memory, device_lost, no_device or internal, with
// `what` and the result's name in the message.
void check(VkResult result, const char* what);
std::string result_name(VkResult result);

}  // namespace ropewalk::vulkan
