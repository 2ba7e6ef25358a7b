#include "backends/vulkan/program/counters.h"

#include <vector>

namespace ropewalk::vulkan {

Range Counters::first(uint32_t count) {
  if (!all_) {
    constexpr uint64_t kBytes = kCount * sizeof(uint32_t);
    const abi::Slice all{memory_.allocate(kBytes), 0, kBytes};
    memory_.write(all, std::vector<std::byte>(kBytes));
    all_ = all;
  }
  const VkDeviceAddress begin = memory_.address(*all_);
  return {begin, begin + count * sizeof(uint32_t)};
}

}  // namespace ropewalk::vulkan
