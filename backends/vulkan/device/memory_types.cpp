#include "backends/vulkan/device/memory_types.h"

#include <algorithm>

namespace ropewalk::vulkan {
namespace {

constexpr VkMemoryPropertyFlags kDeviceLocal = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
constexpr VkMemoryPropertyFlags kHostVisible =
    VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;

}  // namespace

std::vector<uint32_t> device_heaps(const VkPhysicalDeviceMemoryProperties& memory,
                                   abi::DeviceType type) {
  std::vector<uint32_t> heaps;
  uint32_t largest = 0;
  uint64_t size = 0;
  for (uint32_t i = 0; i < memory.memoryHeapCount; ++i) {
    const VkMemoryHeap& heap = memory.memoryHeaps[i];
    if (type == abi::DeviceType::integrated) heaps.push_back(i);
    if ((heap.flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) && heap.size > size) {
      largest = i;
      size = heap.size;
    }
  }
  if (heaps.empty()) heaps.push_back(largest);
  return heaps;
}

// The host reads logits through staging, so memory that its cache holds is preferred.
std::vector<uint32_t> memory_types(const VkPhysicalDeviceMemoryProperties& memory, uint32_t allowed,
                                   Reach reach, abi::DeviceType type) {
  const bool device = reach == Reach::device;
  const VkMemoryPropertyFlags best =
      device ? kDeviceLocal : kHostVisible | VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
  const VkMemoryPropertyFlags enough = device ? VkMemoryPropertyFlags{0} : kHostVisible;
  std::vector<uint32_t> found, heaps;
  for (const VkMemoryPropertyFlags flags : {best, enough})
    for (uint32_t i = 0; i < memory.memoryTypeCount; ++i) {
      const VkMemoryType& candidate = memory.memoryTypes[i];
      if (!(allowed >> i & 1) || (candidate.propertyFlags & flags) != flags) continue;
      // A second type of the same heap is full when the first is.
      if (std::count(heaps.begin(), heaps.end(), candidate.heapIndex)) continue;
      heaps.push_back(candidate.heapIndex);
      found.push_back(i);
    }
  // A card's buffers in the host's memory would be read over its bus.
  if (type != abi::DeviceType::integrated && !found.empty())
    found.erase(found.begin() + 1, found.end());
  return found;
}

}  // namespace ropewalk::vulkan
