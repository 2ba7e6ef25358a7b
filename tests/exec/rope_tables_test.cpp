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
using testing::HasSubstr;

const abi::RopeRequest kRequest{8, 10000.0, 64, 0, 128};

TEST(RopeTables, AFixedPolicyAnswersForTheContextLength) {
  LengthPolicy policy(false);
  RopeTables tables(policy, kRequest, RopeMode::hf_compat);
  EXPECT_FALSE(tables.varies());
  EXPECT_THAT(tables.inv_freq(5), Each(128.0f));
}

TEST(RopeTables, AVaryingPolicyAnswersForTheSequence) {
  LengthPolicy policy(true);
  RopeTables tables(policy, kRequest, RopeMode::hf_compat);
  EXPECT_TRUE(tables.varies());
  EXPECT_THAT(tables.inv_freq(5), Each(5.0f));
  EXPECT_THAT(tables.inv_freq(77), Each(77.0f));
  EXPECT_THAT(tables.inv_freq(5), Each(5.0f));  // and shrinks again
}

TEST(RopeTables, FixedModeTakesOneTableFromTheStart) {
  LengthPolicy policy(true);
  RopeTables tables(policy, kRequest, RopeMode::fixed);
  EXPECT_FALSE(tables.varies());
  EXPECT_THAT(tables.inv_freq(5), Each(128.0f));
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
               [&] { RopeTables tables(policy, kRequest, RopeMode::hf_compat); });
}

}  // namespace
}  // namespace ropewalk::test
