#include "core/load/weight_parts.h"

#include <gtest/gtest.h>

#include "core/checkpoint/weights/weight_room.h"

namespace ropewalk::test {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

abi::Weight gptq(uint32_t rows, uint32_t cols) {
  abi::Weight shape;
  shape.dtype = abi::DType::gptq;
  shape.rows = rows;
  shape.cols = cols;
  shape.bits = 4;
  shape.group_size = 32;
  return shape;
}

std::vector<uint32_t> widths(const std::vector<Columns>& parts) {
  std::vector<uint32_t> widths;
  for (const Columns& part : parts) widths.push_back(part.count);
  return widths;
}

// 5120 x 13824 of 4 bits in groups of 32: 35389440 bytes of codes, 1105920 of zeros, 4423680 of
// scales.
TEST(WeightRoom, IsWhatTheTensorsTake) {
  EXPECT_EQ(room_bytes(gptq(5120, 13824), 13824), 35389440u + 1105920 + 4423680);
  abi::Weight table;
  table.dtype = abi::DType::f16;
  table.rows = 5120;
  table.cols = 32000;
  EXPECT_EQ(room_bytes(table, 32000), 327680000u);
}

// Two at a time fit where that costs nothing; a reordered weight is cut only where it must be.
TEST(WeightParts, OfA13BModelThrough40MiB) {
  const std::vector<uint32_t> order(13824);
  const abi::Weight gate = gptq(5120, 13824), down = gptq(13824, 5120), query = gptq(5120, 5120);
  EXPECT_EQ(widths(parts_of(gate, order, 40 * kMiB)), (std::vector<uint32_t>{13824}));
  EXPECT_EQ(widths(parts_of(down, {}, 40 * kMiB)), (std::vector<uint32_t>{2560, 2560}));
  EXPECT_EQ(widths(parts_of(query, {}, 40 * kMiB)), (std::vector<uint32_t>{5120}));
}

TEST(WeightParts, AReorderedOneThatIsTooLarge) {
  const std::vector<uint32_t> order(28672);
  const std::vector<Columns> parts = parts_of(gptq(8192, 28672), order, 64 * kMiB);
  EXPECT_EQ(widths(parts), (std::vector<uint32_t>{14080, 14080, 512}));
  for (const Columns& part : parts) {
    EXPECT_EQ(part.order.data(), order.data());
    EXPECT_EQ(part.first % abi::kPartColumns, 0u);
    EXPECT_LE(room_bytes(gptq(8192, 28672), part.count), 64 * kMiB);
  }
}

TEST(WeightParts, NoneWhereTheSmallestIsTooLarge) {
  EXPECT_TRUE(parts_of(gptq(5120, 5120), {}, 700'000).empty());
  EXPECT_FALSE(parts_of(gptq(5120, 5120), {}, 800'000).empty());
}

}  // namespace
}  // namespace ropewalk::test
