#include "backends/vulkan/device/timestamps.h"

#include "core/abi/guard.h"

namespace ropewalk::vulkan {

Timestamps::Timestamps(Context& context, size_t groups)
    : context_(context), count_(static_cast<uint32_t>(groups) + 1) {
  auto info = structure<VkQueryPoolCreateInfo>(VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO);
  info.queryType = VK_QUERY_TYPE_TIMESTAMP;
  info.queryCount = count_;
  check(context_.api().CreateQueryPool(context_.device(), &info, nullptr, &pool_), "timestamps");
}

Timestamps::~Timestamps() {
  if (context_.alive()) context_.api().DestroyQueryPool(context_.device(), pool_, nullptr);
}

std::vector<double> Timestamps::ends_us() const {
  std::vector<uint64_t> ticks(count_);
  const VkResult result = context_.api().GetQueryPoolResults(
      context_.device(), pool_, 0, count_, ticks.size() * sizeof ticks[0], ticks.data(),
      sizeof ticks[0], VK_QUERY_RESULT_64_BIT);
  check(result, "timestamps");
  if (result == VK_NOT_READY)
    throw abi::Failure(abi::StatusCode::internal, "the step has not written its timestamps");
  return context_.features().timestamps.since_first_us(ticks);
}

}  // namespace ropewalk::vulkan
