#include "backends/vulkan/program/spirv.h"

namespace ropewalk::vulkan {
namespace {

// Where an access has its memory operands: a mask, then what its bits ask for. 0: it is no access.
// SPIR-V 1.5, sections 3.26 and 3.32.8; SPV_KHR_cooperative_matrix.
size_t mask_place(uint32_t opcode) {
  constexpr uint32_t kOpLoad = 61, kOpStore = 62, kOpMatrixLoad = 4457, kOpMatrixStore = 4458;
  switch (opcode) {
    case kOpLoad:
      return 4;
    case kOpStore:
      return 3;
    case kOpMatrixLoad:
      return 6;
    case kOpMatrixStore:
      return 5;
    default:
      return 0;
  }
}

}  // namespace

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

std::vector<uint32_t> visible_at_barriers(std::span<const uint32_t> words) {
  constexpr size_t kHeaderWords = 5;
  constexpr uint32_t kAligned = 2, kMakeAvailable = 8, kMakeVisible = 16;
  std::vector<uint32_t> result(words.begin(), words.begin() + kHeaderWords);
  for (size_t at = kHeaderWords, count; at < words.size(); at += count) {
    count = words[at] >> 16;
    const uint32_t opcode = words[at] & 0xffff;
    const size_t mask = mask_place(opcode), begin = result.size();
    result.insert(result.end(), &words[at], &words[at] + count);
    if (mask == 0 || mask >= count) continue;
    const bool aligned = words[at + mask] & kAligned;  // the only operand that is left
    result.resize(begin + mask + 1 + aligned);
    result[begin] = static_cast<uint32_t>(result.size() - begin) << 16 | opcode;
    result[begin + mask] &= ~(kMakeAvailable | kMakeVisible);
  }
  return result;
}

}  // namespace ropewalk::vulkan
