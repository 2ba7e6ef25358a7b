// What the embedded shaders require of a device (K10): Vulkan 1.2 with buffer addresses. Variants
// for devices that have them require shuffles, float16 and 16-bit storage, and nothing else.
#include "backends/vulkan/program/shaders.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

namespace ropewalk::vulkan {
namespace {

// SPIR-V 1.5, section 3.31.
constexpr uint32_t kShader = 1, kFloat16 = 9, kInt64 = 11, kGroupNonUniform = 61,
                   kGroupNonUniformShuffle = 65, kStorageBuffer16BitAccess = 4433,
                   kPhysicalStorageBufferAddresses = 5347, kDotProductInput4x8BitPacked = 6018,
                   kDotProduct = 6019;

std::set<uint32_t> capabilities(const Shader& shader) {
  constexpr uint32_t kHeaderWords = 5, kOpCapability = 17;
  std::set<uint32_t> found;
  for (size_t at = kHeaderWords; at < shader.words.size(); at += shader.words[at] >> 16)
    if ((shader.words[at] & 0xffff) == kOpCapability) found.insert(shader.words[at + 1]);
  return found;
}

TEST(VulkanShaders, PlainOnesNeedNothingOptional) {
  for (const Shader* shader :
       {&kEmbed, &kRmsNorm, &kGptqMatvec, &kGptqMatmul, &kGptqTile, &kXToF16, &kXToI8, &kRope,
        &kKvAppend, &kAttention, &kAttentionTile, &kAttentionCombine, &kSiluMul, &kGeluMul, &kAdd,
        &kPermute, &kSelect, &kStream, &kProducts})
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
  EXPECT_THAT(capabilities(kGptqMatvecF16),
              testing::UnorderedElementsAre(kShader, kPhysicalStorageBufferAddresses, kFloat16));
  EXPECT_THAT(capabilities(kGptqTileF16),
              testing::UnorderedElementsAre(kShader, kPhysicalStorageBufferAddresses, kFloat16,
                                            kStorageBuffer16BitAccess));
}

TEST(VulkanShaders, LeanOnesNeedDotProducts) {
  EXPECT_THAT(
      capabilities(kGptqLean),
      testing::UnorderedElementsAre(kShader, kPhysicalStorageBufferAddresses, kInt64,
                                    kGroupNonUniform, kDotProductInput4x8BitPacked, kDotProduct));
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
