// What the embedded shaders require of a device (K10): Vulkan 1.2 with buffer addresses. Variants
// for devices that have them require shuffles, float16 and 16-bit storage, and nothing else.
#include "backends/vulkan/program/shaders.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "backends/vulkan/program/spirv.h"
#include "tests/ops/harness/devices.h"
#include "tests/ops/harness/half.h"
#include "tests/ops/harness/session.h"

namespace ropewalk::vulkan {
namespace {

// SPIR-V 1.5, section 3.31.
constexpr uint32_t kShader = 1, kFloat16 = 9, kInt64 = 11, kGroupNonUniform = 61,
                   kGroupNonUniformArithmetic = 63, kGroupNonUniformShuffle = 65,
                   kStorageBuffer16BitAccess = 4433, kVulkanMemoryModel = 5345,
                   kPhysicalStorageBufferAddresses = 5347, kCooperativeMatrix = 6022,
                   kDotProductInput4x8BitPacked = 6018, kDotProduct = 6019;

constexpr uint32_t kSpirvHeader = 5;

std::set<uint32_t> capabilities(std::span<const uint32_t> words) {
  constexpr uint32_t kOpCapability = 17;
  std::set<uint32_t> found;
  for (size_t at = kSpirvHeader; at < words.size(); at += words[at] >> 16)
    if ((words[at] & 0xffff) == kOpCapability) found.insert(words[at + 1]);
  return found;
}
std::set<uint32_t> capabilities(const Shader& shader) { return capabilities(shader.words); }

std::vector<uint32_t> opcodes(std::span<const uint32_t> words) {
  std::vector<uint32_t> found;
  for (size_t at = kSpirvHeader; at < words.size(); at += words[at] >> 16)
    found.push_back(words[at] & 0xffff);
  return found;
}

TEST(VulkanShaders, PlainOnesNeedNothingOptional) {
  for (const Shader* shader :
       {&kEmbed,         &kRmsNorm, &kGptqMatvec, &kGptqMatmul, &kGptqTile,      &kXToF16,
        &kXToI8,         &kRope,    &kKvAppend,   &kAttention,  &kAttentionTile, &kAttentionCombine,
        &kSiluMul,       &kGeluMul, &kAdd,        &kPermute,    &kSelect,        &kLowRankShrink,
        &kLowRankExpand, &kStream,  &kProducts})
    EXPECT_THAT(capabilities(*shader),
                testing::UnorderedElementsAre(kShader, kPhysicalStorageBufferAddresses))
        << shader->name;
}

TEST(VulkanShaders, VariantsNeedShuffles) {
  for (const Shader* shader : {&kGptqMatvecShuffles, &kGptqMatmulShuffles})
    EXPECT_THAT(capabilities(*shader),
                testing::UnorderedElementsAre(kShader, kPhysicalStorageBufferAddresses,
                                              kGroupNonUniform, kGroupNonUniformShuffle))
        << shader->name;
}

TEST(VulkanShaders, HalvesNeedFloat16AndTilesOfThem16BitStorage) {
  for (const Shader* shader : {&kGptqMatvecF16, &kAttentionMatrix, &kProductsF16, &kProductsMatrix})
    EXPECT_THAT(capabilities(*shader),
                testing::UnorderedElementsAre(kShader, kPhysicalStorageBufferAddresses, kFloat16))
        << shader->name;
  EXPECT_THAT(
      capabilities(kGptqMatrix),
      testing::UnorderedElementsAre(kShader, kPhysicalStorageBufferAddresses, kFloat16, kInt64));
  EXPECT_THAT(capabilities(kGptqTileF16),
              testing::UnorderedElementsAre(kShader, kPhysicalStorageBufferAddresses, kFloat16,
                                            kStorageBuffer16BitAccess));
}

TEST(VulkanShaders, MatrixCoresNeedTheMemoryModel) {
  if (kGptqMatrixCooperative.words.empty())
    GTEST_SKIP() << "built without a glslang that knows GL_KHR_cooperative_matrix";
  std::set<uint32_t> needed{kShader,
                            kPhysicalStorageBufferAddresses,
                            kFloat16,
                            kGroupNonUniform,
                            kVulkanMemoryModel,
                            kCooperativeMatrix};
  for (const Shader* shader : {&kAttentionMatrixCooperative, &kProductsMatrixCooperative})
    EXPECT_EQ(capabilities(*shader), needed) << shader->name;
  needed.insert(kInt64);
  EXPECT_EQ(capabilities(kGptqMatrixCooperative), needed);
}

TEST(VulkanShaders, LeanOnesNeedDotProducts) {
  for (const Shader* shader : {&kGptqDotTile, &kProductsDot})
    EXPECT_THAT(capabilities(*shader),
                testing::UnorderedElementsAre(kShader, kPhysicalStorageBufferAddresses,
                                              kDotProductInput4x8BitPacked, kDotProduct))
        << shader->name;
  for (const Shader* shader :
       {&kGptqLean, &kGptqLeanSplit, &kGptqLeanStaged, &kGptqLeanGated, &kGptqQkv})
    EXPECT_THAT(
        capabilities(*shader),
        testing::UnorderedElementsAre(kShader, kPhysicalStorageBufferAddresses, kInt64,
                                      kGroupNonUniform, kDotProductInput4x8BitPacked, kDotProduct))
        << shader->name;
  EXPECT_THAT(capabilities(kGptqLeanPlaned),
              testing::UnorderedElementsAre(kShader, kPhysicalStorageBufferAddresses, kInt64,
                                            kGroupNonUniform, kGroupNonUniformShuffle,
                                            kDotProductInput4x8BitPacked, kDotProduct));
  for (const Shader* shader : {&kGptqLeanGatedNormed, &kGptqQkvNormed})
    EXPECT_THAT(capabilities(*shader),
                testing::UnorderedElementsAre(kShader, kPhysicalStorageBufferAddresses, kInt64,
                                              kGroupNonUniform, kGroupNonUniformArithmetic,
                                              kGroupNonUniformShuffle, kDotProductInput4x8BitPacked,
                                              kDotProduct))
        << shader->name;
}

TEST(VulkanShaders, WideAttentionNeedsLongAddressesAndSubgroupArithmetic) {
  for (const Shader* shader : {&kAttentionWide, &kAttentionJoined})
    EXPECT_THAT(capabilities(*shader),
                testing::UnorderedElementsAre(kShader, kPhysicalStorageBufferAddresses, kInt64,
                                              kGroupNonUniform, kGroupNonUniformArithmetic))
        << shader->name;
}

// SPIR-V 1.5, section 2.4: execution modes come behind the entry points and before all else. The
// shader is otherwise as it was.
TEST(VulkanShaders, TheDemandForSubnormalsIsAnExecutionModeMore) {
  constexpr uint32_t kOpEntryPoint = 15, kOpExecutionMode = 16, kDenormPreserve = 4464;
  for (const Shader* shader : {&kGptqTile, &kGptqLean, &kEmbed}) {
    const std::vector<uint32_t> words = keep_f16_subnormals(shader->words);
    std::set<uint32_t> needed = capabilities(*shader);
    needed.insert(kDenormPreserve);
    EXPECT_EQ(capabilities(words), needed) << shader->name;
    std::vector<uint32_t> before = opcodes(shader->words), after = opcodes(words);
    const auto entry = std::find(after.begin(), after.end(), kOpEntryPoint);
    ASSERT_NE(entry, after.end());
    EXPECT_EQ(entry[1], kOpExecutionMode);
    after.erase(entry + 1);
    after.erase(after.begin());
    EXPECT_EQ(after, before) << shader->name;
  }
}

// SPIR-V 1.5, section 3.26: Aligned 2 with a number, MakePointerAvailable 8 and MakePointerVisible
// 16 with a scope each, NonPrivatePointer 32.
TEST(VulkanShaders, SharedMemoryBecomesVisibleAtBarriersAlone) {
  const std::vector<uint32_t> header{0x07230203, 0x00010500, 0, 99, 0};
  const auto instruction = [](uint32_t opcode, std::vector<uint32_t> operands) {
    const auto count = static_cast<uint32_t>(operands.size() + 1);
    operands.insert(operands.begin(), count << 16 | opcode);
    return operands;
  };
  const auto module = [&](std::initializer_list<std::vector<uint32_t>> instructions) {
    std::vector<uint32_t> words = header;
    for (const auto& of : instructions) words.insert(words.end(), of.begin(), of.end());
    return words;
  };
  constexpr uint32_t kLoad = 61, kStore = 62, kMatrixLoad = 4457, kMatrixStore = 4458, kScope = 9;
  EXPECT_EQ(visible_at_barriers(
                module({instruction(kLoad, {1, 2, 3, 16 | 32, kScope}),
                        instruction(kLoad, {1, 4, 3, 2 | 16 | 32, 4, kScope}),
                        instruction(kLoad, {1, 5, 3}), instruction(kStore, {3, 4, 8 | 32, kScope}),
                        instruction(kMatrixLoad, {1, 6, 3, 7, 8, 16 | 32, kScope}),
                        instruction(kMatrixStore, {3, 6, 7, 8, 8 | 32, kScope})})),
            module({instruction(kLoad, {1, 2, 3, 32}), instruction(kLoad, {1, 4, 3, 2 | 32, 4}),
                    instruction(kLoad, {1, 5, 3}), instruction(kStore, {3, 4, 32}),
                    instruction(kMatrixLoad, {1, 6, 3, 7, 8, 32}),
                    instruction(kMatrixStore, {3, 6, 7, 8, 32})}));
}

// What an access no longer does, every barrier must: acquire, release, shared memory, available and
// visible (section 3.32).
TEST(VulkanShaders, BarriersOfMatrixShadersMakeVisible) {
  constexpr uint32_t kOpConstant = 43, kOpControlBarrier = 224, kSemantics = 0x6108;
  for (const Shader* shader :
       {&kGptqMatrixCooperative, &kAttentionMatrixCooperative, &kProductsMatrixCooperative}) {
    if (shader->words.empty()) GTEST_SKIP() << "no compiler for cooperative matrices was found";
    std::map<uint32_t, uint32_t> constants;
    int barriers = 0;
    const auto words = shader->words;
    for (size_t at = kSpirvHeader; at < words.size(); at += words[at] >> 16) {
      const uint32_t opcode = words[at] & 0xffff;
      if (opcode == kOpConstant) constants[words[at + 2]] = words[at + 3];
      if (opcode != kOpControlBarrier) continue;
      EXPECT_EQ(constants[words[at + 3]], kSemantics) << shader->name;
      ++barriers;
    }
    EXPECT_GT(barriers, 0) << shader->name;
  }
}

// Scales below 2^-14 are subnormal in f16. A device that counts them as zero gives only zeros.
TEST(VulkanShaders, SmallScalesCount) {
  using namespace test;
  constexpr uint32_t kDepth = 64, kWidth = 40;
  Random random(4);
  for (const uint8_t bits : {uint8_t{4}, uint8_t{8}}) {
    StoredWeight weight = random_gptq({kDepth, kWidth, bits, 32, 1, abi::DType::f16}, random);
    for (size_t i = 0; i < weight.scales.size(); i += 2) {
      const uint16_t scale = f16_bits(1e-6 * static_cast<double>(1 + i % 7));
      std::memcpy(&weight.scales[i], &scale, sizeof scale);
    }
    for (const char* name : {"vulkan", "vulkan_gpu"}) {
      Case c;
      const uint32_t x = c.activation("x", {abi::kRows, kDepth});
      const uint32_t y = c.activation("y", {abi::kRows, kWidth});
      c.node(abi::Op::matmul, {x, c.weight("w", weight)}, {y}, {});
      Session session(c, device(name), {1, 1, 1, 1}, Steps::alone);
      const std::vector<float> values = random.values(kDepth);
      session.set(x, values);
      session.run(plain_step(1));
      const std::vector<float> sums = session.get(y);
      double error = 0, size = 0;
      for (uint32_t n = 0; n < kWidth; ++n) {
        double truth = 0;
        for (uint32_t k = 0; k < kDepth; ++k) truth += values[k] * weight.at(k, n);
        error += (sums[n] - truth) * (sums[n] - truth);
        size += truth * truth;
      }
      EXPECT_LT(error, 1e-6 * size) << name << ", " << int{bits} << " bits";
    }
  }
}

// Each shader's header says what it computes, its grid and its bottleneck.
TEST(VulkanShaders, HeadersTellGridAndBottleneck) {
  int shaders = 0;
  for (const auto& file :
       std::filesystem::directory_iterator(RW_SOURCE_DIR "/backends/vulkan/shaders")) {
    if (file.path().extension() != ".comp") continue;
    ++shaders;
    std::ifstream in(file.path());
    std::string header;
    for (std::string line; std::getline(in, line) && !line.starts_with("layout");)
      if (line.starts_with("//")) header += line + "\n";
    EXPECT_THAT(header,
                testing::AllOf(testing::HasSubstr("Grid: "), testing::HasSubstr("ottleneck")))
        << file.path();
  }
  EXPECT_GE(shaders, 15);
}

}  // namespace
}  // namespace ropewalk::vulkan
