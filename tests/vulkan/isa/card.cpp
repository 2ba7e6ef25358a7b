// card.cpp — a Vulkan loader with a card that is not there: what a real driver's compiler makes of
// the shaders, in the program as users run it.
//
// Mesa's RADV compiles for the GPU that RADV_FORCE_FAMILY names, on any machine. It has neither
// memory nor semaphores then. This loader lends it both: everything else is the driver's. Commands
// are recorded and validated, and never run; what the program reads back is what the memory held.
//
// ROPEWALK_ISA_FOLDER names a folder: each pipeline leaves NAME.txt with its shader, its
// specialisation constants and the driver's statistics, and NAME.asm with its machine code.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "backends/vulkan/program/shaders.h"
#include "backends/vulkan/program/spirv.h"
#include "tests/vulkan/interposed.h"

namespace {

using namespace ropewalk::vulkan;

constexpr uint64_t kMemory = uint64_t{24} << 30;

const Shader* const kShaders[] = {&kEmbed,
                                  &kRmsNorm,
                                  &kGptqMatvec,
                                  &kGptqMatvecShuffles,
                                  &kGptqMatvecF16,
                                  &kGptqMatmul,
                                  &kGptqTile,
                                  &kGptqTileF16,
                                  &kGptqMatmulShuffles,
                                  &kGptqMatrix,
                                  &kGptqMatrixCooperative,
                                  &kXToF16,
                                  &kXToI8,
                                  &kGptqLean,
                                  &kGptqLeanPlaned,
                                  &kGptqLeanSplit,
                                  &kGptqLeanStaged,
                                  &kGptqLeanGated,
                                  &kGptqLeanGatedNormed,
                                  &kGptqQkv,
                                  &kGptqQkvNormed,
                                  &kGptqDotTile,
                                  &kRope,
                                  &kKvAppend,
                                  &kAttention,
                                  &kAttentionWide,
                                  &kAttentionJoined,
                                  &kAttentionTile,
                                  &kAttentionMatrix,
                                  &kAttentionMatrixCooperative,
                                  &kAttentionCombine,
                                  &kSiluMul,
                                  &kGeluMul,
                                  &kAdd,
                                  &kPermute,
                                  &kSelect,
                                  &kLowRankShrink,
                                  &kLowRankExpand,
                                  &kStream,
                                  &kProducts,
                                  &kProductsF16,
                                  &kProductsDot,
                                  &kProductsMatrix,
                                  &kProductsMatrixCooperative};

VkDevice the_device = VK_NULL_HANDLE;

std::map<VkShaderModule, std::string> modules;
uint64_t next_handle = 1, next_address = uint64_t{1} << 32;

// Of the driver.
#define RW_DRIVER(name) \
  reinterpret_cast<PFN_##name>(RW_REAL(vkGetDeviceProcAddr)(the_device, #name))

template <class Structure>
Structure* find(void* chain, VkStructureType type) {
  for (auto* link = static_cast<VkBaseOutStructure*>(chain); link; link = link->pNext)
    if (link->sType == type) return reinterpret_cast<Structure*>(link);
  return nullptr;
}

// As a discrete card has it: its own memory, and the host's.
void VKAPI_CALL memory_properties(VkPhysicalDevice, VkPhysicalDeviceMemoryProperties2* memory) {
  VkPhysicalDeviceMemoryProperties& of = memory->memoryProperties;
  of = {};
  of.memoryHeapCount = 2;
  of.memoryHeaps[0] = {kMemory, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT};
  of.memoryHeaps[1] = {kMemory, 0};
  of.memoryTypeCount = 2;
  of.memoryTypes[0] = {VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0};
  of.memoryTypes[1] = {VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT |
                           VK_MEMORY_PROPERTY_HOST_CACHED_BIT,
                       1};
  auto* budget = find<VkPhysicalDeviceMemoryBudgetPropertiesEXT>(
      memory, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT);
  if (!budget) return;
  budget->heapBudget[0] = budget->heapBudget[1] = kMemory;
  budget->heapUsage[0] = budget->heapUsage[1] = 0;
}

// Shader engines, arrays of one and compute units of an array, which RADV does not know of a card
// that is not there.
struct Units {
  const char* family;
  uint32_t engines, arrays, units;
};
constexpr Units kUnits[] = {
    {"GFX1100", 6, 2, 8}, {"GFX1102", 2, 2, 8}, {"NAVI21", 4, 2, 10}, {"VANGOGH", 1, 1, 8}};

void count_units(const char* device, VkPhysicalDeviceShaderCorePropertiesAMD& cores) {
  for (const Units& card : kUnits)
    if (std::strstr(device, card.family)) {
      cores.shaderEngineCount = card.engines;
      cores.shaderArraysPerEngineCount = card.arrays;
      cores.computeUnitsPerShaderArray = card.units;
    }
}

void VKAPI_CALL properties(VkPhysicalDevice device, VkPhysicalDeviceProperties2* properties) {
  RW_REAL(vkGetPhysicalDeviceProperties2)(device, properties);
  // For gfx1102 Mesa 22.3 tells a type that does not exist; it would count as a processor.
  VkPhysicalDeviceType& type = properties->properties.deviceType;
  if (type > VK_PHYSICAL_DEVICE_TYPE_CPU) type = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
  if (auto* v11 = find<VkPhysicalDeviceVulkan11Properties>(
          properties, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES))
    v11->maxMemoryAllocationSize = std::max<uint64_t>(v11->maxMemoryAllocationSize, 0xfffffffc);
  if (auto* cores = find<VkPhysicalDeviceShaderCorePropertiesAMD>(
          properties, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_AMD))
    count_units(properties->properties.deviceName, *cores);
}

VkResult VKAPI_CALL create_device(VkPhysicalDevice physical, const VkDeviceCreateInfo* info,
                                  const VkAllocationCallbacks* callbacks, VkDevice* device) {
  VkDeviceCreateInfo with = *info;
  std::vector<const char*> names(info->ppEnabledExtensionNames,
                                 info->ppEnabledExtensionNames + info->enabledExtensionCount);
  names.push_back(VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME);
  with.enabledExtensionCount = static_cast<uint32_t>(names.size());
  with.ppEnabledExtensionNames = names.data();
  VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR statistics{};
  statistics.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR;
  statistics.pNext = const_cast<void*>(info->pNext);
  statistics.pipelineExecutableInfo = VK_TRUE;
  with.pNext = &statistics;
  const VkResult result = RW_REAL(vkCreateDevice)(physical, &with, callbacks, device);
  if (result == VK_SUCCESS) the_device = *device;
  return result;
}

VkResult VKAPI_CALL create_module(VkDevice device, const VkShaderModuleCreateInfo* info,
                                  const VkAllocationCallbacks* callbacks, VkShaderModule* module) {
  const VkResult result = RW_DRIVER(vkCreateShaderModule)(device, info, callbacks, module);
  // By their ends: the backend adds demands near the beginning (spirv.h).
  const std::span code(info->pCode, info->codeSize / sizeof(uint32_t));
  for (const Shader* shader : kShaders) {
    if (shader->words.empty()) continue;
    const std::vector<uint32_t> words = visible_at_barriers(shader->words);
    const auto end = std::span(words).last(words.size() / 2);
    if (code.size() >= words.size() && code.size() < words.size() + 8 &&
        std::ranges::equal(code.last(end.size()), end))
      modules[*module] = shader->name;
  }
  return result;
}

std::string number_of(const VkPipelineExecutableStatisticKHR& statistic) {
  if (statistic.format == VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR)
    return std::to_string(statistic.value.f64);
  return std::to_string(statistic.value.u64);
}

template <class Element, class Of>
std::vector<Element> list(VkResult(VKAPI_PTR* function)(VkDevice, const Of*, uint32_t*, Element*),
                          const Of& of, VkStructureType type) {
  uint32_t count = 0;
  function(the_device, &of, &count, nullptr);
  Element empty{};
  empty.sType = type;
  std::vector<Element> elements(count, empty);
  function(the_device, &of, &count, elements.data());
  return elements;
}

// A compute pipeline has one executable.
void report(VkPipeline pipeline, const VkComputePipelineCreateInfo& info) {
  const char* const folder = std::getenv("ROPEWALK_ISA_FOLDER");
  if (!folder) return;
  std::string name = modules[info.stage.module], constants;
  if (const VkSpecializationInfo* values = info.stage.pSpecializationInfo)
    for (uint32_t i = 0; i < values->mapEntryCount; ++i) {
      uint32_t value = 0;
      std::memcpy(&value, static_cast<const std::byte*>(values->pData) + 4 * size_t{i}, 4);
      constants += (i ? "." : "") + std::to_string(value);
    }
  const std::string file = std::string(folder) + "/" + name + "-" + constants;
  VkPipelineInfoKHR of{VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, nullptr, pipeline};
  const auto executables = list(RW_DRIVER(vkGetPipelineExecutablePropertiesKHR), of,
                                VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR);
  VkPipelineExecutableInfoKHR executable{VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, nullptr,
                                         pipeline, 0};
  std::ofstream text(file + ".txt");
  text << "shader=" << name << "\nconstants=" << constants
       << "\nsubgroup=" << executables.at(0).subgroupSize << "\n";
  for (const auto& statistic : list(RW_DRIVER(vkGetPipelineExecutableStatisticsKHR), executable,
                                    VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR))
    text << statistic.name << "=" << number_of(statistic) << "\n";
  const auto get = RW_DRIVER(vkGetPipelineExecutableInternalRepresentationsKHR);
  auto codes =
      list(get, executable, VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INTERNAL_REPRESENTATION_KHR);
  std::vector<std::vector<char>> rooms;
  for (auto& code : codes) code.pData = rooms.emplace_back(code.dataSize).data();
  auto count = static_cast<uint32_t>(codes.size());
  get(the_device, &executable, &count, codes.data());
  for (const auto& code : codes)
    if (std::strcmp(code.name, "Assembly") == 0)
      std::ofstream(file + ".asm") << static_cast<const char*>(code.pData);
}

VkResult VKAPI_CALL create_pipelines(VkDevice device, VkPipelineCache, uint32_t count,
                                     const VkComputePipelineCreateInfo* infos,
                                     const VkAllocationCallbacks* callbacks,
                                     VkPipeline* pipelines) {
  for (uint32_t i = 0; i < count; ++i) {
    VkComputePipelineCreateInfo with = infos[i];
    with.flags |= VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR |
                  VK_PIPELINE_CREATE_CAPTURE_INTERNAL_REPRESENTATIONS_BIT_KHR;
    const VkResult result = RW_DRIVER(vkCreateComputePipelines)(device, VK_NULL_HANDLE, 1, &with,
                                                                callbacks, pipelines + i);
    if (result != VK_SUCCESS) return result;
    report(pipelines[i], infos[i]);
  }
  return VK_SUCCESS;
}

VkResult VKAPI_CALL create_semaphore(VkDevice, const VkSemaphoreCreateInfo*,
                                     const VkAllocationCallbacks*, VkSemaphore* semaphore) {
  *semaphore = reinterpret_cast<VkSemaphore>(next_handle++);
  return VK_SUCCESS;
}
void VKAPI_CALL destroy_semaphore(VkDevice, VkSemaphore, const VkAllocationCallbacks*) {}
VkResult VKAPI_CALL wait_semaphores(VkDevice, const VkSemaphoreWaitInfo*, uint64_t) {
  return VK_SUCCESS;
}
VkResult VKAPI_CALL submit(VkQueue, uint32_t, const VkSubmitInfo*, VkFence) { return VK_SUCCESS; }
VkResult VKAPI_CALL wait_idle(VkDevice) { return VK_SUCCESS; }

// A buffer's handle is its size, its address one that nobody follows. Memory that the host maps is
// the host's; the card's own is never touched.
VkResult VKAPI_CALL create_buffer(VkDevice, const VkBufferCreateInfo* info,
                                  const VkAllocationCallbacks*, VkBuffer* buffer) {
  *buffer = reinterpret_cast<VkBuffer>(info->size);
  return VK_SUCCESS;
}
void VKAPI_CALL destroy_buffer(VkDevice, VkBuffer, const VkAllocationCallbacks*) {}
void VKAPI_CALL requirements(VkDevice, VkBuffer buffer, VkMemoryRequirements* needs) {
  *needs = {reinterpret_cast<VkDeviceSize>(buffer), 256, 3};
}
VkResult VKAPI_CALL allocate(VkDevice, const VkMemoryAllocateInfo* info,
                             const VkAllocationCallbacks*, VkDeviceMemory* memory) {
  const bool mapped = info->memoryTypeIndex == 1;
  *memory = reinterpret_cast<VkDeviceMemory>(
      std::calloc(1, mapped ? static_cast<size_t>(info->allocationSize) : 1));
  return *memory ? VK_SUCCESS : VK_ERROR_OUT_OF_HOST_MEMORY;
}
void VKAPI_CALL free_memory(VkDevice, VkDeviceMemory memory, const VkAllocationCallbacks*) {
  std::free(memory);
}
VkResult VKAPI_CALL bind(VkDevice, VkBuffer, VkDeviceMemory, VkDeviceSize) { return VK_SUCCESS; }
VkResult VKAPI_CALL map(VkDevice, VkDeviceMemory memory, VkDeviceSize, VkDeviceSize,
                        VkMemoryMapFlags, void** mapped) {
  *mapped = memory;
  return VK_SUCCESS;
}
VkDeviceAddress VKAPI_CALL address_of(VkDevice, const VkBufferDeviceAddressInfo* info) {
  const VkDeviceAddress address = next_address;
  next_address += (reinterpret_cast<VkDeviceSize>(info->buffer) + 0xffff) & ~VkDeviceSize{0xffff};
  return address;
}

// RADV without a card has nowhere to record commands to.
VkResult VKAPI_CALL allocate_commands(VkDevice, const VkCommandBufferAllocateInfo* info,
                                      VkCommandBuffer* commands) {
  std::fill_n(commands, info->commandBufferCount, VkCommandBuffer{});
  return VK_SUCCESS;
}
void VKAPI_CALL free_commands(VkDevice, VkCommandPool, uint32_t, const VkCommandBuffer*) {}
VkResult VKAPI_CALL begin(VkCommandBuffer, const VkCommandBufferBeginInfo*) { return VK_SUCCESS; }
VkResult VKAPI_CALL end(VkCommandBuffer) { return VK_SUCCESS; }
void VKAPI_CALL barrier(VkCommandBuffer, VkPipelineStageFlags, VkPipelineStageFlags,
                        VkDependencyFlags, uint32_t, const VkMemoryBarrier*, uint32_t,
                        const VkBufferMemoryBarrier*, uint32_t, const VkImageMemoryBarrier*) {}
void VKAPI_CALL copy(VkCommandBuffer, VkBuffer, VkBuffer, uint32_t, const VkBufferCopy*) {}
void VKAPI_CALL bind_pipeline(VkCommandBuffer, VkPipelineBindPoint, VkPipeline) {}
void VKAPI_CALL push(VkCommandBuffer, VkPipelineLayout, VkShaderStageFlags, uint32_t, uint32_t,
                     const void*) {}
void VKAPI_CALL dispatch(VkCommandBuffer, uint32_t, uint32_t, uint32_t) {}

const Functions& own_functions() {
  static const Functions functions = {
      RW_OWN(vkCreateDevice, create_device),
      RW_OWN(vkGetPhysicalDeviceMemoryProperties2, memory_properties),
      RW_OWN(vkGetPhysicalDeviceProperties2, properties),
      RW_OWN(vkCreateShaderModule, create_module),
      RW_OWN(vkCreateComputePipelines, create_pipelines),
      RW_OWN(vkCreateSemaphore, create_semaphore),
      RW_OWN(vkDestroySemaphore, destroy_semaphore),
      RW_OWN(vkWaitSemaphores, wait_semaphores),
      RW_OWN(vkQueueSubmit, submit),
      RW_OWN(vkDeviceWaitIdle, wait_idle),
      RW_OWN(vkCreateBuffer, create_buffer),
      RW_OWN(vkDestroyBuffer, destroy_buffer),
      RW_OWN(vkGetBufferMemoryRequirements, requirements),
      RW_OWN(vkAllocateMemory, allocate),
      RW_OWN(vkFreeMemory, free_memory),
      RW_OWN(vkBindBufferMemory, bind),
      RW_OWN(vkMapMemory, map),
      RW_OWN(vkGetBufferDeviceAddress, address_of),
      RW_OWN(vkAllocateCommandBuffers, allocate_commands),
      RW_OWN(vkFreeCommandBuffers, free_commands),
      RW_OWN(vkBeginCommandBuffer, begin),
      RW_OWN(vkEndCommandBuffer, end),
      RW_OWN(vkCmdPipelineBarrier, barrier),
      RW_OWN(vkCmdCopyBuffer, copy),
      RW_OWN(vkCmdBindPipeline, bind_pipeline),
      RW_OWN(vkCmdPushConstants, push),
      RW_OWN(vkCmdDispatch, dispatch),
  };
  return functions;
}

}  // namespace
