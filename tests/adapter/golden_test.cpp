// An adapter small enough to be checked with a pencil: every value is exact in f16.
#include <gmock/gmock.h>

#include <cmath>

#include "core/adapter/low_rank.h"
#include "tests/adapter/tiny_adapter.h"

namespace ropewalk::test {
namespace {

using ::testing::ElementsAreArray;
using ::testing::FloatNear;
using ::testing::Pointwise;

// W + s B A with s = 3 / 2.
const std::vector<float> kMerged = {-.40625f,  .125f,    0,       .125f,   0,        -.53125f,
                                    .3125f,    -.125f,   .5f,     .0625f,  -.375f,   .25f,
                                    -.03125f,  -.375f,   -.0625f, 0,       .3125f,   -.03125f,
                                    -.140625f, -.15625f, -.5f,    -.1875f, -.53125f, -.546875f};

TEST(Golden, MergesExactly) {
  const OpenPair pair(golden_base(), golden_adapter());
  EXPECT_THAT(pair.merged(kModule + ".weight"), ElementsAreArray(kMerged));
}

TEST(Golden, RsLoraDividesByTheRoot) {
  TinyAdapter adapter = golden_adapter();
  adapter.config["use_rslora"] = true;
  const OpenPair pair(golden_base(), adapter);
  EXPECT_NEAR(pair.adapter->low_ranks()[0].scale, 2.1213203, 1e-7);
  const std::vector<float> merged = pair.merged(kModule + ".weight");
  EXPECT_NEAR(merged[0] - golden_weight()[0], .1325825f, 1e-6f);
}

TEST(Golden, DoraGivesRowsTheirLength) {
  TinyAdapter adapter = golden_adapter();
  adapter.config["use_dora"] = true;
  adapter.tensors[kModule + ".lora_magnitude_vector"] = floats({4}, {1, .5f, 2, .25f});
  const OpenPair pair(golden_base(), adapter);
  const std::vector<float> merged = pair.merged(kModule + ".weight");
  EXPECT_THAT(
      std::vector(merged.begin(), merged.begin() + 6),
      Pointwise(FloatNear(1e-6f), {-.5872801f, .1807016f, 0.f, .1807016f, 0.f, -.7679818f}));
  const std::vector<double> norms = {.6917482, .7551904, .4941059, .9542770};
  const std::vector<double> lengths = {1, .5, 2, .25};
  for (size_t row = 0; row < 4; ++row)
    for (size_t k = 0; k < 6; ++k)
      EXPECT_NEAR(merged[row * 6 + k], kMerged[row * 6 + k] * lengths[row] / norms[row], 1e-6);
}

TEST(Golden, ScaleMultipliesTheChange) {
  const OpenPair pair(golden_base(), golden_adapter());
  const std::vector<float> half =
      pair.merged(kModule + ".weight", {{{pair.adapter.get(), -0.5}}, StoredType::f32});
  for (size_t i = 0; i < half.size(); ++i)
    EXPECT_EQ(half[i], golden_weight()[i] - (kMerged[i] - golden_weight()[i]) / 2) << i;
}

TEST(Golden, NormOfTheProductIsThatOfItsElements) {
  const OpenPair pair(golden_base(), golden_adapter());
  double squares = 0;
  for (size_t i = 0; i < kMerged.size(); ++i)
    squares += std::pow((kMerged[i] - golden_weight()[i]) / 1.5, 2);
  const Factors factors = load_factors(*pair.adapter, pair.adapter->low_ranks()[0], 0, 4);
  EXPECT_NEAR(product_norm(factors), std::sqrt(squares), 1e-12);
}

}  // namespace
}  // namespace ropewalk::test
