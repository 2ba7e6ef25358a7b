// Where the warpgroup's products find their operands, on the host: descriptors against the PTX
// manual's table, and each element's address by the layouts that CUTLASS documents.
#include "backends/cuda/kernel/wgmma_layout.h"

#include <gtest/gtest.h>

#include <set>

#include "backends/cuda/gptq/x_to_f16.h"

namespace ropewalk::cuda {
namespace {

// Fields of a descriptor: address, leading and stride offsets in units of 16 bytes.
uint64_t field(uint64_t descriptor, uint32_t first, uint32_t bits) {
  return descriptor >> first & ((uint64_t{1} << bits) - 1);
}

// Swizzle<3, 4, 3>: bits 7 to 9 of an address are added to its bits 4 to 6 without carry.
uint64_t swizzle(uint64_t address) { return address ^ (address & 0x380) >> 3; }

TEST(WgmmaLayout, DescriptorsHaveTheirFields) {
  const uint64_t descriptor = matrix_descriptor(0x12340, 0x4000, 1024);
  EXPECT_EQ(descriptor, 0x4000004004001234u);
  EXPECT_EQ(field(descriptor, 62, 2), 1u);
  EXPECT_EQ(field(descriptor, 49, 13), 0u);
  // an address beyond 18 bits does not reach the other fields
  EXPECT_EQ(field(matrix_descriptor(~0u, 16, 1024), 16, 48),
            field(matrix_descriptor(0, 16, 1024), 16, 48));
}

TEST(WgmmaLayout, ARowIsPermutedWithinItselfAndMeetsNoBankTwice) {
  for (uint32_t chunk = 0; chunk < 8; ++chunk) {
    std::set<uint32_t> banks, places;
    for (uint32_t row = 8; row < 16; ++row) banks.insert(panel_offset(row, chunk * 8) / 4 % 32);
    EXPECT_EQ(banks.size(), 8u);
    for (uint32_t c = 0; c < 8; ++c) places.insert(panel_offset(chunk, c * 8));
    EXPECT_EQ(*places.begin(), chunk * 128);
    EXPECT_EQ(*places.rbegin(), chunk * 128 + 112);
    EXPECT_EQ(places.size(), 8u);
  }
  EXPECT_EQ(panel_offset(2, 0), 2u * 128 + 32);
  EXPECT_EQ(panel_offset(3, 9), 3u * 128 + 32 + 2);
  EXPECT_EQ(panel_offset(13, 63), 13u * 128 + 32 + 14);
}

// K-major: ((8, n), 2) : ((8, stride), 1) in units of 16 bytes. Two panels of 128 rows at 4096.
TEST(WgmmaLayout, StepsAlongTheRows) {
  constexpr uint32_t kAt = 4096, kPanel = 128 * 128;
  for (uint32_t k = 0; k < 8; ++k) {
    const uint64_t descriptor = along_rows(kAt, kPanel, k);
    const uint64_t start = field(descriptor, 0, 14) * 16, stride = field(descriptor, 32, 14) * 16;
    for (const uint32_t row : {0u, 1u, 7u, 8u, 63u, 127u})
      for (uint32_t i = 0; i < 16; ++i) {
        const uint32_t column = k * 16 + i;
        EXPECT_EQ(swizzle(start + row / 8 * stride + row % 8 * 128 + i / 8 * 16 + i % 8 * 2),
                  kAt + column / 64 * kPanel + panel_offset(row, column % 64));
      }
  }
}

// MN-major: ((8, n), (8, k)) : ((1, leading), (8, stride)) in units of 16 bytes.
TEST(WgmmaLayout, StepsAcrossTheRows) {
  constexpr uint32_t kAt = 8192, kPanel = 128 * 128;
  for (uint32_t k = 0; k < 8; ++k) {
    const uint64_t descriptor = across_rows(kAt, kPanel, k);
    const uint64_t start = field(descriptor, 0, 14) * 16, leading = field(descriptor, 16, 14) * 16,
                   stride = field(descriptor, 32, 14) * 16;
    for (uint32_t i = 0; i < 16; ++i)
      for (const uint32_t column : {0u, 1u, 8u, 63u, 64u, 127u})
        EXPECT_EQ(swizzle(start + i / 8 * stride + i % 8 * 128 + column / 64 * leading +
                          column % 64 / 8 * 16 + column % 8 * 2),
                  kAt + column / 64 * kPanel + panel_offset(k * 16 + i, column % 64));
  }
}

// PTX manual, A of wgmma with 16 of K: register i of lane (g, t) has the rows g + 8 (i % 2) of A
// and its places 8 (i / 2) + 2t, .. + 1 of K. Lanes of large_batch/wgmma.cu put the pair
// left_pair() of their 8 codes of a column there.
TEST(WgmmaLayout, XHasTheOrderOfTheLanesCodes) {
  using gptq::XOrder;
  std::set<uint32_t> places;
  for (uint32_t lane = 0; lane < gptq::kLanes; ++lane)
    for (uint32_t step = 0; step < 2; ++step)
      for (uint32_t i = 0; i < 4; ++i)
        for (uint32_t e = 0; e < 2; ++e) {
          const uint32_t row = gptq::row_of(lane, 2 * gptq::left_pair(step, i) + e);
          const uint32_t place = step * 16 + i / 2 * 8 + lane % 4 * 2 + e;
          EXPECT_EQ(gptq::place_of(XOrder::pairs_of_lanes, row), place);
          EXPECT_EQ(gptq::place_of(XOrder::natural, row), row);
          places.insert(place);
        }
  EXPECT_EQ(places.size(), gptq::kBlockRows);
}

}  // namespace
}  // namespace ropewalk::cuda
