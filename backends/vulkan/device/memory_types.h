// memory_types.h — which of a device's heaps and memory types buffers may lie in.
//
// Pure functions of what the driver tells.
#pragma once

#include <vector>

#include "backends/vulkan/device/api.h"
#include "core/abi/backend.h"

namespace ropewalk::vulkan {

enum class Reach { device, host };

// The heaps that weights and caches may lie in: the largest of the device's own memory. An
// integrated GPU has all of them: they are the same memory, and some drivers divide it into two.
std::vector<uint32_t> device_heaps(const VkPhysicalDeviceMemoryProperties& memory,
                                   abi::DeviceType type);

// Memory types among the bits of `allowed`, the best first; each where those before it are full.
// Empty: there is none.
std::vector<uint32_t> memory_types(const VkPhysicalDeviceMemoryProperties& memory, uint32_t allowed,
                                   Reach reach, abi::DeviceType type);

}  // namespace ropewalk::vulkan
