#include "backends/vulkan/device/features.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

#include "backends/vulkan/device/cooperative_matrix.h"
#include "backends/vulkan/device/memory_types.h"
#include "backends/vulkan/program/shaders.h"

namespace ropewalk::vulkan {
namespace {

abi::DeviceType type_of(VkPhysicalDeviceType type) {
  switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
      return abi::DeviceType::discrete;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
      return abi::DeviceType::integrated;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
      return abi::DeviceType::virtual_gpu;
    default:
      return abi::DeviceType::software;
  }
}

bool has_extension(const Instance& instance, VkPhysicalDevice device, const char* name) {
  uint32_t count = 0;
  instance.api().EnumerateDeviceExtensionProperties(device, nullptr, &count, nullptr);
  std::vector<VkExtensionProperties> extensions(count);
  instance.api().EnumerateDeviceExtensionProperties(device, nullptr, &count, extensions.data());
  return std::any_of(extensions.begin(), extensions.end(), [&](const auto& extension) {
    return std::strcmp(extension.extensionName, name) == 0;
  });
}

struct Properties {
  VkPhysicalDeviceProperties2 core =
      structure<VkPhysicalDeviceProperties2>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2);
  VkPhysicalDeviceVulkan11Properties v11 = structure<VkPhysicalDeviceVulkan11Properties>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES);
  VkPhysicalDeviceVulkan12Properties v12 = structure<VkPhysicalDeviceVulkan12Properties>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES);
};

void read_properties(const Instance& instance, VkPhysicalDevice device, Properties& properties) {
  instance.api().GetPhysicalDeviceProperties2(device, &properties.core);
  if (properties.core.properties.apiVersion < VK_API_VERSION_1_2) return;
  properties.core.pNext = &properties.v11;
  properties.v11.pNext = &properties.v12;
  instance.api().GetPhysicalDeviceProperties2(device, &properties.core);
}

void read_queue(const Instance& instance, VkPhysicalDevice device, const Options& options,
                Features& found) {
  uint32_t count = 0;
  instance.api().GetPhysicalDeviceQueueFamilyProperties(device, &count, nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  instance.api().GetPhysicalDeviceQueueFamilyProperties(device, &count, families.data());
  const auto first = [&](VkQueueFlags without) {
    return std::find_if(families.begin(), families.end(), [without](const auto& f) {
      return (f.queueFlags & VK_QUEUE_COMPUTE_BIT) && !(f.queueFlags & without) && f.queueCount > 0;
    });
  };
  auto family = first(options.queue == Queue::compute ? VkQueueFlags{VK_QUEUE_GRAPHICS_BIT}
                                                      : VkQueueFlags{0});
  if (family == families.end()) family = first(0);
  if (family == families.end() || !options.has("compute-queue"))
    found.unusable = "it has no compute queue";
  else
    found.queue_family = static_cast<uint32_t>(family - families.begin());
  if (found.unusable.empty() && options.has("timestamps"))
    found.timestamps.bits = family->timestampValidBits;
}

void read_features(const Instance& instance, VkPhysicalDevice device, const Options& options,
                   Features& found) {
  auto v12 = structure<VkPhysicalDeviceVulkan12Features>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES);
  auto v11 = structure<VkPhysicalDeviceVulkan11Features>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES);
  auto size = structure<VkPhysicalDeviceSubgroupSizeControlFeatures>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES);
  auto features =
      structure<VkPhysicalDeviceFeatures2>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2);
  features.pNext = &v12;
  const bool extension =
      has_extension(instance, device, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
  auto dot = structure<VkPhysicalDeviceShaderIntegerDotProductFeatures>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES);
  const bool has_dot =
      has_extension(instance, device, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
  auto matrices = structure<CooperativeMatrixFeatures>(kCooperativeMatrixFeatures);
  const bool has_matrices = has_extension(instance, device, kCooperativeMatrix);
  v12.pNext = &v11;
  if (extension) v11.pNext = &size;
  if (has_dot) dot.pNext = v11.pNext, v11.pNext = &dot;
  if (has_matrices) matrices.pNext = v11.pNext, v11.pNext = &matrices;
  instance.api().GetPhysicalDeviceFeatures2(device, &features);
  if (!v12.bufferDeviceAddress || !options.has("buffer-device-address"))
    found.unusable = "it has no buffer device addresses";
  if (!v12.timelineSemaphore || !options.has("timeline-semaphore"))
    found.unusable = "it has no timeline semaphores";
  found.size_control = extension && size.subgroupSizeControl && size.computeFullSubgroups &&
                       options.has("size-control");
  found.float16 = v12.shaderFloat16 && options.has("float16");
  found.storage_16bit = v11.storageBuffer16BitAccess && options.has("16bit-storage");
  found.int64 = features.features.shaderInt64 && options.has("int64");
  found.memory_model =
      v12.vulkanMemoryModel && v12.vulkanMemoryModelDeviceScope && options.has("memory-model");
  // Its shader also needs 64-bit addresses to compute with, and whole subgroups.
  found.integer_dot = has_dot && dot.shaderIntegerDotProduct && found.int64 && found.size_control &&
                      options.has("integer-dot");
  // Their shader is compiled where a compiler for it was found.
  if (has_matrices && matrices.cooperativeMatrix && v12.vulkanMemoryModel && found.size_control &&
      found.int64 && !kGptqMatrixCooperative.words.empty() && has_f16_matrices(instance, device))
    found.matrices = Matrices::cooperative;
  found.portability_subset = has_extension(instance, device, kPortabilitySubset);
  found.memory_budget = has_extension(instance, device, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME) &&
                        options.has("memory-budget");
}

// Where the instruction is not the hardware's own, floating point is faster. A processor that plays
// a GPU takes it, so that it is tested. REQUIRES: the device has the extension.
bool wants_dot(const Instance& instance, VkPhysicalDevice device, const Options& options,
               const Features& found) {
  if (options.dot != Switch::automatic) return options.dot == Switch::always;
  if (found.info.type == abi::DeviceType::software) return !found.processor;
  auto dot = structure<VkPhysicalDeviceShaderIntegerDotProductProperties>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES);
  auto properties =
      structure<VkPhysicalDeviceProperties2>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2);
  properties.pNext = &dot;
  instance.api().GetPhysicalDeviceProperties2(device, &properties);
  return dot.integerDotProductAccumulatingSaturating4x8BitPackedSignedAccelerated;
}

// 32 where the driver allows it: on RDNA 3 more vector instructions then issue by two, and others
// have no other size.
uint32_t matrix_lanes_of(const Instance& instance, VkPhysicalDevice device, uint32_t otherwise) {
  constexpr uint32_t kLanes = 32;
  auto size = structure<VkPhysicalDeviceSubgroupSizeControlProperties>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES);
  auto properties =
      structure<VkPhysicalDeviceProperties2>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2);
  properties.pNext = &size;
  instance.api().GetPhysicalDeviceProperties2(device, &properties);
  const bool may_be = size.minSubgroupSize <= kLanes && kLanes <= size.maxSubgroupSize;
  return may_be && size.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT ? kLanes
                                                                                 : otherwise;
}

// By what AMD's and NVIDIA's drivers tell, else some size of their kind.
uint32_t vector_units_of(const Instance& instance, VkPhysicalDevice device, abi::DeviceType type) {
  constexpr uint32_t kOfASm = 4, kIntegrated = 32, kOthers = 256;
  auto amd = structure<VkPhysicalDeviceShaderCorePropertiesAMD>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_AMD);
  auto nvidia = structure<VkPhysicalDeviceShaderSMBuiltinsPropertiesNV>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_PROPERTIES_NV);
  auto properties =
      structure<VkPhysicalDeviceProperties2>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2);
  if (has_extension(instance, device, VK_AMD_SHADER_CORE_PROPERTIES_EXTENSION_NAME))
    properties.pNext = &amd;
  else if (has_extension(instance, device, VK_NV_SHADER_SM_BUILTINS_EXTENSION_NAME))
    properties.pNext = &nvidia;
  if (properties.pNext) instance.api().GetPhysicalDeviceProperties2(device, &properties);
  const uint32_t of_amd = amd.shaderEngineCount * amd.shaderArraysPerEngineCount *
                          amd.computeUnitsPerShaderArray * amd.simdPerComputeUnit;
  const uint32_t told = of_amd + nvidia.shaderSMCount * kOfASm;
  return told ? told : type == abi::DeviceType::integrated ? kIntegrated : kOthers;
}

void read_subgroups(const VkPhysicalDeviceVulkan11Properties& v11, const Options& options,
                    Features& found) {
  found.subgroup_size = std::clamp(v11.subgroupSize, 1u, 128u);
  const auto has = [&](VkSubgroupFeatureFlags operations) {
    return (v11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) &&
           (v11.subgroupSupportedOperations & operations);
  };
  found.subgroup_shuffle = has(VK_SUBGROUP_FEATURE_SHUFFLE_BIT) && options.has("subgroup-shuffle");
  found.subgroup_arithmetic =
      has(VK_SUBGROUP_FEATURE_ARITHMETIC_BIT) && options.has("subgroup-arithmetic");
}

void describe(const Properties& properties, Features& found) {
  abi::DeviceInfo& info = found.info;
  const VkPhysicalDeviceProperties& core = properties.core.properties;
  std::snprintf(info.name, sizeof info.name, "%.127s", core.deviceName);
  std::snprintf(info.driver, sizeof info.driver, "%.60s %.60s", properties.v12.driverName,
                properties.v12.driverInfo);
  info.type = type_of(core.deviceType);
  std::string missing;
  const auto lacks = [&](bool has, const char* what) {
    if (!has) missing += (missing.empty() ? "" : ", ") + std::string(what);
  };
  lacks(found.subgroup_shuffle, "subgroup shuffles");
  lacks(found.size_control, "subgroup size control");
  lacks(found.float16, "float16 arithmetic");
  lacks(found.storage_16bit, "16-bit storage");
  lacks(found.integer_dot, "integer dot products");
  lacks(found.int64, "64-bit integers");
  lacks(found.subgroup_arithmetic, "subgroup arithmetic");
  lacks(found.memory_model, "a memory model");
  lacks(found.f16_subnormals, "f16 subnormals (may count as 0)");
  lacks(found.timestamps.bits > 0, "timestamps (no --trace)");
  lacks(found.memory_budget, "a memory budget (the heap counts as free)");
  std::snprintf(info.missing, sizeof info.missing, "%s", missing.c_str());
  info.activation = abi::DType::f32;
  info.kv_types = 1u << static_cast<uint32_t>(abi::DType::f16) |
                  1u << static_cast<uint32_t>(abi::DType::f32) |
                  1u << static_cast<uint32_t>(abi::DType::i8);
  info.max_rows = 512;
  info.lanes = found.subgroup_size;
}

}  // namespace

Features examine(const Instance& instance, VkPhysicalDevice device, const Options& options) {
  Features found{};
  Properties properties;
  read_properties(instance, device, properties);
  const VkPhysicalDeviceProperties& core = properties.core.properties;
  const uint32_t version = options.has("vulkan-1.2") ? core.apiVersion : VK_API_VERSION_1_1;
  if (version < VK_API_VERSION_1_2) {
    std::snprintf(found.info.name, sizeof found.info.name, "%.127s", core.deviceName);
    found.info.type = type_of(core.deviceType);
    found.unusable = "its driver has Vulkan 1." + std::to_string(VK_API_VERSION_MINOR(version)) +
                     ", expected 1.2 or later";
    return found;
  }
  read_queue(instance, device, options, found);
  read_features(instance, device, options, found);
  read_subgroups(properties.v11, options, found);
  found.f16_subnormals =
      properties.v12.shaderDenormPreserveFloat16 && options.has("f16-subnormals");
  describe(properties, found);
  found.processor =
      options.tuning == Tuning::processor ||
      (options.tuning == Tuning::automatic && found.info.type == abi::DeviceType::software);
  // A processor computes f16 in f32, with a conversion before and one after each operation.
  if (options.float16 == Switch::never || (options.float16 == Switch::automatic && found.processor))
    found.float16 = false;
  if (options.matrix == MatrixUse::emulated && found.int64) found.matrices = Matrices::emulated;
  if (options.matrix == MatrixUse::never || !found.float16) found.matrices = Matrices::none;
  found.matrix_lanes = found.matrices == Matrices::cooperative
                           ? matrix_lanes_of(instance, device, found.subgroup_size)
                           : found.subgroup_size;
  if (found.integer_dot && !wants_dot(instance, device, options, found)) found.integer_dot = false;
  // A processor that plays a GPU takes seconds to compile them.
  found.dot_tiles = found.integer_dot &&
                    (found.info.type != abi::DeviceType::software || options.dot == Switch::always);
  found.combines_last = options.combine == Combine::last && found.memory_model && found.int64 &&
                        found.subgroup_arithmetic && !found.processor;
  found.batch_invariant = options.batch_invariant;
  found.vector_units = vector_units_of(instance, device, found.info.type);
  found.max_invocations = core.limits.maxComputeWorkGroupInvocations;
  found.timestamps.tick_ns = core.limits.timestampPeriod;
  found.shared_bytes = core.limits.maxComputeSharedMemorySize;
  found.largest_allocation = properties.v11.maxMemoryAllocationSize;
  std::copy_n(properties.v11.deviceUUID, VK_UUID_SIZE, found.device_uuid);
  std::copy_n(properties.core.properties.pipelineCacheUUID, VK_UUID_SIZE, found.cache_uuid);

  auto memory = structure<VkPhysicalDeviceMemoryProperties2>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2);
  instance.api().GetPhysicalDeviceMemoryProperties2(device, &memory);
  for (const uint32_t heap : device_heaps(memory.memoryProperties, found.info.type))
    found.info.memory_total += memory.memoryProperties.memoryHeaps[heap].size;
  found.info.memory_free = memory_free(instance, device, found, options);
  return found;
}

std::vector<uint64_t> free_of_heaps(const Instance& instance, VkPhysicalDevice device,
                                    const Features& features) {
  auto budget = structure<VkPhysicalDeviceMemoryBudgetPropertiesEXT>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT);
  auto memory = structure<VkPhysicalDeviceMemoryProperties2>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2);
  if (features.memory_budget) memory.pNext = &budget;
  instance.api().GetPhysicalDeviceMemoryProperties2(device, &memory);
  std::vector<uint64_t> free;
  for (uint32_t heap = 0; heap < memory.memoryProperties.memoryHeapCount; ++heap) {
    const uint64_t size = memory.memoryProperties.memoryHeaps[heap].size;
    const uint64_t left =
        budget.heapBudget[heap] - std::min(budget.heapUsage[heap], budget.heapBudget[heap]);
    free.push_back(features.memory_budget ? std::min(left, size) : size);
  }
  return free;
}

uint64_t memory_free(const Instance& instance, VkPhysicalDevice device, const Features& features,
                     const Options& options) {
  if (options.faults.memory) return options.faults.memory;
  auto memory = structure<VkPhysicalDeviceMemoryProperties2>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2);
  instance.api().GetPhysicalDeviceMemoryProperties2(device, &memory);
  const std::vector<uint64_t> free = free_of_heaps(instance, device, features);
  uint64_t all = 0;
  for (const uint32_t heap : device_heaps(memory.memoryProperties, features.info.type))
    all += free[heap];
  return all;
}

}  // namespace ropewalk::vulkan
