// cooperative_matrix.h — what the backend needs of VK_KHR_cooperative_matrix, which the headers of
// Debian 12 (1.3.239) do not know yet. Names and numbers: the Vulkan registry.
#pragma once

#include <string_view>

#include "backends/vulkan/device/instance.h"

namespace ropewalk::vulkan {

inline constexpr char kCooperativeMatrix[] = "VK_KHR_cooperative_matrix";

// VkPhysicalDeviceCooperativeMatrixFeaturesKHR
struct CooperativeMatrixFeatures {
  VkStructureType sType;
  void* pNext;
  VkBool32 cooperativeMatrix;
  VkBool32 cooperativeMatrixRobustBufferAccess;
};
inline constexpr auto kCooperativeMatrixFeatures = static_cast<VkStructureType>(1000506000);

// Whether a subgroup multiplies tiles of 16 x 16 x 16 of f16 with sums in f32, as gptq_matrix.comp
// does. REQUIRES: the device has the extension.
bool has_f16_matrices(const Instance& instance, VkPhysicalDevice device);

}  // namespace ropewalk::vulkan
