// fake_loader.cpp — a Vulkan loader with devices that no machine has together: what tests need to
// see how devices are listed, refused and chosen. None can be opened.
//
// FAKE_VULKAN_DEVICES lists indices into kDevices, in the order in which the driver tells of them.
#ifndef VK_NO_PROTOTYPES
#define VK_NO_PROTOTYPES
#endif
#include <vulkan/vulkan.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <vector>

namespace {

struct FakeDevice {
  const char* name;
  VkPhysicalDeviceType type;
  uint32_t version;
  uint32_t subgroup_size;
  bool has_addresses, has_optional;
  uint64_t heap, used;
  uint64_t host_heap = uint64_t{64} << 30;
  bool has_fast_dot = true;
};

constexpr uint64_t kGiB = uint64_t{1} << 30;
const FakeDevice kDevices[] = {
    {"a processor", VK_PHYSICAL_DEVICE_TYPE_CPU, VK_API_VERSION_1_3, 8, true, true, 2 * kGiB, 0},
    {"a virtual GPU", VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU, VK_API_VERSION_1_2, 32, true, false,
     4 * kGiB, 0},
    {"an integrated GPU", VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU, VK_API_VERSION_1_2, 16, true,
     true, 3 * kGiB, 0, 2 * kGiB},
    {"an old card", VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU, VK_API_VERSION_1_1, 64, true, true,
     8 * kGiB, 0},
    {"a card", VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU, VK_API_VERSION_1_3, 64, true, true, 8 * kGiB,
     3 * kGiB},
    {"a card without addresses", VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU, VK_API_VERSION_1_2, 32,
     false, true, 8 * kGiB, 0},
    {"a card of slow dot products", VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU, VK_API_VERSION_1_3, 32,
     true, true, 8 * kGiB, 0, 64 * kGiB, false},
};

const FakeDevice& of(VkPhysicalDevice handle) {
  return *reinterpret_cast<const FakeDevice*>(handle);
}

template <class Structure>
Structure* find(void* chain, VkStructureType type) {
  for (auto* link = static_cast<VkBaseOutStructure*>(chain); link; link = link->pNext)
    if (link->sType == type) return reinterpret_cast<Structure*>(link);
  return nullptr;
}

VkResult VKAPI_CALL create_instance(const VkInstanceCreateInfo*, const VkAllocationCallbacks*,
                                    VkInstance* instance) {
  *instance = reinterpret_cast<VkInstance>(const_cast<FakeDevice*>(kDevices));
  return VK_SUCCESS;
}

VkResult VKAPI_CALL instance_version(uint32_t* version) {
  *version = VK_API_VERSION_1_3;
  return VK_SUCCESS;
}

VkResult VKAPI_CALL no_extensions(const char*, uint32_t* count, VkExtensionProperties*) {
  *count = 0;
  return VK_SUCCESS;
}

VkResult VKAPI_CALL no_layers(uint32_t* count, VkLayerProperties*) {
  *count = 0;
  return VK_SUCCESS;
}

void VKAPI_CALL destroy_instance(VkInstance, const VkAllocationCallbacks*) {}

VkResult VKAPI_CALL devices(VkInstance, uint32_t* count, VkPhysicalDevice* handles) {
  std::vector<VkPhysicalDevice> found;
  const char* list = std::getenv("FAKE_VULKAN_DEVICES");
  for (const char* at = list ? list : ""; *at; ++at)
    if (*at >= '0' && *at < '0' + static_cast<int>(std::size(kDevices)))
      found.push_back(
          reinterpret_cast<VkPhysicalDevice>(const_cast<FakeDevice*>(&kDevices[*at - '0'])));
  if (handles) std::copy_n(found.begin(), std::min<size_t>(*count, found.size()), handles);
  *count = static_cast<uint32_t>(found.size());
  return VK_SUCCESS;
}

void VKAPI_CALL properties(VkPhysicalDevice handle, VkPhysicalDeviceProperties2* to) {
  const FakeDevice& device = of(handle);
  VkPhysicalDeviceProperties& core = to->properties;
  core.apiVersion = device.version;
  core.deviceType = device.type;
  std::snprintf(core.deviceName, sizeof core.deviceName, "%s", device.name);
  core.limits.maxComputeWorkGroupInvocations = 256;
  core.limits.maxComputeSharedMemorySize = 32768;
  core.limits.timestampPeriod = 1;
  std::memset(core.pipelineCacheUUID, 0xca, VK_UUID_SIZE);
  if (auto* v11 = find<VkPhysicalDeviceVulkan11Properties>(
          to->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES)) {
    v11->subgroupSize = device.subgroup_size;
    v11->subgroupSupportedStages = VK_SHADER_STAGE_COMPUTE_BIT;
    v11->subgroupSupportedOperations =
        device.has_optional ? VK_SUBGROUP_FEATURE_SHUFFLE_BIT | VK_SUBGROUP_FEATURE_ARITHMETIC_BIT
                            : 0;
    v11->maxMemoryAllocationSize = kGiB;
    std::memset(v11->deviceUUID, 0xde, VK_UUID_SIZE);
    std::memset(v11->driverUUID, 0xd1, VK_UUID_SIZE);
  }
  if (auto* v12 = find<VkPhysicalDeviceVulkan12Properties>(
          to->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES)) {
    v12->shaderDenormPreserveFloat16 = device.has_optional;
    std::strcpy(v12->driverName, "fake");
    std::strcpy(v12->driverInfo, "1.0");
  }
  if (auto* dot = find<VkPhysicalDeviceShaderIntegerDotProductProperties>(
          to->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES))
    dot->integerDotProductAccumulatingSaturating4x8BitPackedSignedAccelerated = device.has_fast_dot;
}

void VKAPI_CALL features(VkPhysicalDevice handle, VkPhysicalDeviceFeatures2* to) {
  if (auto* v12 = find<VkPhysicalDeviceVulkan12Features>(
          to->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES)) {
    v12->bufferDeviceAddress = of(handle).has_addresses;
    v12->timelineSemaphore = VK_TRUE;
    v12->shaderFloat16 = of(handle).has_optional;
    v12->vulkanMemoryModel = v12->vulkanMemoryModelDeviceScope = of(handle).has_optional;
  }
  to->features.shaderInt64 = of(handle).has_optional;
  if (auto* dot = find<VkPhysicalDeviceShaderIntegerDotProductFeatures>(
          to->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES))
    dot->shaderIntegerDotProduct = of(handle).has_optional;
  if (auto* v11 = find<VkPhysicalDeviceVulkan11Features>(
          to->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES))
    v11->storageBuffer16BitAccess = of(handle).has_optional;
  if (auto* size = find<VkPhysicalDeviceSubgroupSizeControlFeatures>(
          to->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES))
    size->subgroupSizeControl = size->computeFullSubgroups = of(handle).has_optional;
}

void VKAPI_CALL memory(VkPhysicalDevice handle, VkPhysicalDeviceMemoryProperties2* to) {
  VkPhysicalDeviceMemoryProperties& types = to->memoryProperties;
  types.memoryHeapCount = 2;
  types.memoryHeaps[0] = {of(handle).host_heap, 0};
  types.memoryHeaps[1] = {of(handle).heap, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT};
  if (auto* budget = find<VkPhysicalDeviceMemoryBudgetPropertiesEXT>(
          to->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT)) {
    budget->heapBudget[0] = of(handle).host_heap;
    budget->heapBudget[1] = of(handle).heap;
    budget->heapUsage[1] = of(handle).used;
  }
}

void VKAPI_CALL queues(VkPhysicalDevice handle, uint32_t* count,
                       VkQueueFamilyProperties* families) {
  if (families) {
    families[0].queueFlags = VK_QUEUE_COMPUTE_BIT | VK_QUEUE_GRAPHICS_BIT;
    families[0].queueCount = 1;
    families[0].timestampValidBits = of(handle).has_optional ? 36 : 0;
    families[1].queueFlags = VK_QUEUE_COMPUTE_BIT;
    families[1].queueCount = 1;
    families[1].timestampValidBits = 0;
  }
  *count = 2;
}

VkResult VKAPI_CALL extensions(VkPhysicalDevice handle, const char*, uint32_t* count,
                               VkExtensionProperties* found) {
  const char* const names[] = {VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME,
                               VK_EXT_MEMORY_BUDGET_EXTENSION_NAME,
                               VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME};
  *count = of(handle).has_optional ? 3 : 0;
  for (uint32_t i = 0; found && i < *count; ++i)
    std::snprintf(found[i].extensionName, sizeof found[i].extensionName, "%s", names[i]);
  return VK_SUCCESS;
}

VkResult VKAPI_CALL no_device(VkPhysicalDevice, const VkDeviceCreateInfo*,
                              const VkAllocationCallbacks*, VkDevice*) {
  return VK_ERROR_INITIALIZATION_FAILED;
}

PFN_vkVoidFunction VKAPI_CALL no_function(VkDevice, const char*) { return nullptr; }

struct Entry {
  const char* name;
  PFN_vkVoidFunction function;
};

template <class Function>
PFN_vkVoidFunction any(Function* function) {
  return reinterpret_cast<PFN_vkVoidFunction>(function);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) PFN_vkVoidFunction VKAPI_CALL
vkGetInstanceProcAddr(VkInstance, const char* name) {
  static const Entry kEntries[] = {
      {"vkCreateInstance", any(create_instance)},
      {"vkEnumerateInstanceVersion", any(instance_version)},
      {"vkEnumerateInstanceLayerProperties", any(no_layers)},
      {"vkEnumerateInstanceExtensionProperties", any(no_extensions)},
      {"vkDestroyInstance", any(destroy_instance)},
      {"vkEnumeratePhysicalDevices", any(devices)},
      {"vkGetPhysicalDeviceProperties2", any(properties)},
      {"vkGetPhysicalDeviceFeatures2", any(features)},
      {"vkGetPhysicalDeviceMemoryProperties2", any(memory)},
      {"vkGetPhysicalDeviceQueueFamilyProperties", any(queues)},
      {"vkEnumerateDeviceExtensionProperties", any(extensions)},
      {"vkCreateDevice", any(no_device)},
      {"vkGetDeviceProcAddr", any(no_function)},
  };
  for (const Entry& entry : kEntries)
    if (std::strcmp(entry.name, name) == 0) return entry.function;
  return nullptr;
}
