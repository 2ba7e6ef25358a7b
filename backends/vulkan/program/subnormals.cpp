#include "backends/vulkan/program/subnormals.h"

namespace ropewalk::vulkan {

// SPIR-V 1.5: an instruction is (number of its words) << 16 | opcode, then its operands.
// Capabilities come first, execution modes right behind the entry points.
std::vector<uint32_t> keep_f16_subnormals(std::span<const uint32_t> words) {
  constexpr uint32_t kHeaderWords = 5, kOpEntryPoint = 15, kOpExecutionMode = 16,
                     kOpCapability = 17;
  constexpr uint32_t kDenormPreserve = 4464, kModeDenormPreserve = 4459, kF16 = 16;
  std::vector<uint32_t> result(words.begin(), words.begin() + kHeaderWords);
  result.insert(result.end(), {2 << 16 | kOpCapability, kDenormPreserve});
  for (size_t at = kHeaderWords; at < words.size();) {
    const uint32_t count = words[at] >> 16;
    const auto instruction = words.subspan(at, count);
    result.insert(result.end(), instruction.begin(), instruction.end());
    if ((instruction[0] & 0xffff) == kOpEntryPoint)
      result.insert(result.end(),
                    {4 << 16 | kOpExecutionMode, instruction[2], kModeDenormPreserve, kF16});
    at += count;
  }
  return result;
}

}  // namespace ropewalk::vulkan
