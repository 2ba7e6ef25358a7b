#include "core/model/rope_tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/base/error.h"
#include "tests/error_of.h"
#include "tests/exec/fake_device.h"

namespace ropewalk::test {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::FloatEq;
using testing::HasSubstr;
using testing::Pointwise;

const abi::RopeRequest kRequest{8, 10000.0, 64, 0, 128};
const RopeHeads kHeads{8};

TEST(RopeTables, AFixedPolicyAnswersForTheContextLength) {
  LengthPolicy policy(false);
  RopeTables tables(policy, kRequest, RopeMode::hf_compat, kHeads);
  EXPECT_FALSE(tables.varies());
  EXPECT_THAT(tables.inv_freq(5), Each(128.0f));
}

TEST(RopeTables, AVaryingPolicyAnswersForTheSequence) {
  LengthPolicy policy(true);
  RopeTables tables(policy, kRequest, RopeMode::hf_compat, kHeads);
  EXPECT_TRUE(tables.varies());
  EXPECT_THAT(tables.inv_freq(5), Each(5.0f));
  EXPECT_THAT(tables.inv_freq(77), Each(77.0f));
  EXPECT_THAT(tables.inv_freq(5), Each(5.0f));  // and shrinks again
}

TEST(RopeTables, FixedModeTakesOneTableFromTheStart) {
  LengthPolicy policy(true);
  RopeTables tables(policy, kRequest, RopeMode::fixed, kHeads);
  EXPECT_FALSE(tables.varies());
  EXPECT_THAT(tables.inv_freq(5), Each(128.0f));
}

// Of a head of 12 the policy rotates 8; the second table rotates all, by 10000^(-2i / 12).
TEST(RopeTables, ASecondTableStandsBehindThePolicys) {
  LengthPolicy policy(true);
  RopeTables tables(policy, kRequest, RopeMode::hf_compat, {12, 10000.0});
  const std::span<const float> both = tables.inv_freq(77);
  EXPECT_THAT(both.first(6), ElementsAre(77, 77, 77, 77, 0, 0));
  EXPECT_THAT(both.subspan(6), Pointwise(FloatEq(), {1.0f, 0.21544347f, 0.046415888f, 0.01f,
                                                     0.0021544347f, 0.00046415888f}));
}

class BrokenPolicy final : public abi::RopeScaling {
 public:
  bool varies_with_length() const noexcept override { return false; }
  abi::Status fill(const abi::RopeRequest&, abi::RopeTable& table) const noexcept override {
    for (double& frequency : table.inv_freq) frequency = 1;
    table.inv_freq[2] = std::nan("");
    return {};
  }
  void release() noexcept override {}
};

TEST(RopeTables, ANaNIsThePluginsFault) {
  BrokenPolicy policy;
  expect_error(ExitCode::plugin, HasSubstr("inverse frequency 2 is nan"),
               [&] { RopeTables tables(policy, kRequest, RopeMode::hf_compat, kHeads); });
}

}  // namespace
}  // namespace ropewalk::test
