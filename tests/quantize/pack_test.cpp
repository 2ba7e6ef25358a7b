#include "core/quantize/pack.h"

#include <gtest/gtest.h>

#include "tests/quantize/golden_matrix.h"

namespace ropewalk::test {
namespace {

using namespace quantize;

// Bit i of a stream of words that lie `stride` apart.
uint32_t bit(const std::vector<uint32_t>& words, size_t first, size_t stride, uint64_t i) {
  return words[first + i / 32 * stride] >> (i % 32) & 1;
}

TEST(Pack, PutsEveryBitInItsPlace) {
  for (const uint8_t bits : {uint8_t{2}, uint8_t{3}, uint8_t{4}, uint8_t{8}}) {
    QuantizedMatrix matrix;
    matrix.bits = bits;
    matrix.rows = 32;
    matrix.cols = 64;
    matrix.group_size = 32;
    const uint32_t mask = (1u << bits) - 1;
    for (uint32_t i = 0; i < 64 * 32; ++i)
      matrix.codes.push_back(static_cast<uint8_t>(i * 2654435761u >> 20 & mask));
    for (uint32_t i = 0; i < 2 * 32; ++i) {
      matrix.zeros.push_back(static_cast<uint8_t>(1 + i * 40503u % mask));
      matrix.scales.push_back(static_cast<uint16_t>(i));
    }
    for (uint32_t k = 0; k < 64; ++k) matrix.group_of.push_back(k / 32);
    for (const ZeroForm form : {ZeroForm::v1, ZeroForm::v2}) {
      const PackedMatrix packed = pack(matrix, form);
      ASSERT_EQ(packed.qweight.size(), 64u * bits / 32 * 32);
      ASSERT_EQ(packed.qzeros.size(), 2u * 32 * bits / 32);
      const uint32_t offset = form == ZeroForm::v1 ? 1 : 0;
      for (uint32_t b = 0; b < bits; ++b) {
        for (uint32_t k = 0; k < 64; ++k)
          for (uint32_t n = 0; n < 32; ++n)
            ASSERT_EQ(bit(packed.qweight, n, 32, k * bits + b), matrix.codes[k * 32 + n] >> b & 1u);
        for (uint32_t g = 0; g < 2; ++g)
          for (uint32_t n = 0; n < 32; ++n)
            ASSERT_EQ(bit(packed.qzeros, g * 32 * bits / 32, 1, n * bits + b),
                      (matrix.zeros[g * 32 + n] - offset) >> b & 1u);
      }
    }
  }
}

}  // namespace
}  // namespace ropewalk::test
