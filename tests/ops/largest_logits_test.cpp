// The extension core/abi/largest_logits.h on every device that has it: rows of logits that the test
// chooses, through one select.
#include "core/abi/largest_logits.h"

#include <cmath>
#include <limits>

#include "tests/ops/op_test.h"

namespace ropewalk::test {
namespace {

using Row = std::vector<float>;

constexpr float kMax = std::numeric_limits<float>::max();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kSmallest = std::numeric_limits<float>::denorm_min();
const float kNan = std::nanf("");

class LargestLogits : public OpTest {
 protected:
  void SetUp() override {
    void* found = nullptr;
    const abi::Status status = device().extension(abi::kLargestLogits, &found);
    if (!status.ok()) GTEST_SKIP() << GetParam() << " leaves them to the host: " << status.message;
    extension_ = static_cast<abi::LargestLogits*>(found);
  }

  // What the device finds in the wanted rows, in a program for five rows more.
  std::vector<int32_t> find(const std::vector<Row>& rows, const std::vector<uint32_t>& wanted) {
    const auto count = static_cast<uint32_t>(rows.size());
    const auto width = static_cast<uint32_t>(rows[0].size());
    OpCase c(count);
    c.shape.rows = c.shape.wanted = count + 5;
    c.step.wanted = wanted;
    std::vector<float> values;
    for (const Row& row : rows) values.insert(values.end(), row.begin(), row.end());
    const Input x = c.input({width}, std::move(values));
    c.graph.node(abi::Op::select, {x}, {c.graph.logits("logits", {abi::kWanted, width})}, {});
    std::vector<int32_t> ids(wanted.size());
    run_then(c, [&](Session&) { check(extension_->largest_logits(ids), "largest logits"); });
    return ids;
  }
  int32_t find(const Row& row) { return find({row}, {0})[0]; }

  static int32_t truth(const Row& row) {
    size_t best = 0;
    for (size_t i = 0; i < row.size(); ++i) {
      if (!std::isfinite(row[i])) return abi::kNotFinite;
      if (row[i] > row[best]) best = i;
    }
    return static_cast<int32_t>(best);
  }

  abi::LargestLogits* extension_ = nullptr;
};

TEST_P(LargestLogits, of_equal_ones_the_lowest_id) {
  EXPECT_EQ(find(Row{1, 3, 3, 2}), 1);
  EXPECT_EQ(find(Row(300, -5.0f)), 0);
  EXPECT_EQ(find(Row{-1, -0.0f, 0.0f}), 1);
  EXPECT_EQ(find(Row{-1, 0.0f, -0.0f}), 1);
}

TEST_P(LargestLogits, extremes_are_numbers) {
  EXPECT_EQ(find(Row{-kMax, -kMax}), 0);
  EXPECT_EQ(find(Row{-kMax, kMax, 1}), 1);
  EXPECT_EQ(find(Row{-kSmallest, 0, kSmallest, 0}), 2);
  EXPECT_EQ(find(Row{-3, -2 * kSmallest, -kSmallest, -1}), 2);
}

// Wherever it stands, and whatever the rest is.
TEST_P(LargestLogits, one_that_is_not_finite) {
  for (const uint32_t width : {1u, 33u, 4097u})
    for (const float bad : {kNan, -kNan, kInfinity, -kInfinity})
      for (const uint32_t place : {0u, width / 2, width - 1}) {
        Row row(width, 7.0f);
        row[place] = bad;
        EXPECT_EQ(find(row), abi::kNotFinite) << bad << " at " << place << " of " << width;
      }
}

// Across the borders of warps, thread blocks and pieces of a row.
TEST_P(LargestLogits, wherever_it_stands) {
  for (const uint32_t width : {1u, 31u, 32u, 33u, 255u, 257u, 4095u, 4096u, 4097u, 32001u}) {
    std::vector<Row> rows;
    std::vector<uint32_t> wanted;
    for (const uint32_t place : {0u, 31u, 32u, 256u, 4095u, 4096u, 8192u, width - 1}) {
      if (place >= width) continue;
      wanted.push_back(static_cast<uint32_t>(rows.size()));
      rows.emplace_back(width, -2.0f);
      rows.back()[place] = rows.back()[width - 1] = -1.0f;
    }
    const std::vector<int32_t> ids = find(rows, wanted);
    for (size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(ids[i], truth(rows[i])) << width;
  }
}

TEST_P(LargestLogits, some_rows_of_many) {
  for (const uint32_t count : kRowCounts) {
    Random random(count);
    std::vector<Row> rows;
    for (uint32_t r = 0; r < count; ++r) {
      rows.push_back(random.values(77));
      if (r % 5 == 3) rows.back()[r % 77] = kNan;
    }
    std::vector<uint32_t> wanted;
    for (uint32_t r = count / 2; r < count; ++r) wanted.push_back(r);
    const std::vector<int32_t> ids = find(rows, wanted);
    for (size_t i = 0; i < wanted.size(); ++i)
      EXPECT_EQ(ids[i], truth(rows[wanted[i]])) << "row " << wanted[i] << " of " << count;
  }
}

INSTANTIATE_TEST_SUITE_P(Extension, LargestLogits, testing::ValuesIn(device_names()), device_of);

}  // namespace
}  // namespace ropewalk::test
