#include "core/quantize/hessian.h"

#include <gtest/gtest.h>

#include "tests/quantize/golden_matrix.h"

namespace ropewalk::test {
namespace {

using quantize::Hessian;

// Sizes beside the tiles' edges.
TEST(Hessian, SumsOuterProducts) {
  for (const uint32_t inputs : {1u, 63u, 64u, 65u, 130u}) {
    const std::vector<float> x = uneven_inputs(150, inputs, inputs);
    Hessian hessian(inputs);
    hessian.add(x, 2);
    EXPECT_EQ(hessian.tokens(), 150u);
    for (uint32_t i = 0; i < inputs; ++i)
      for (uint32_t j = 0; j <= i; ++j) {
        double sum = 0, size = 0;
        for (uint32_t t = 0; t < 150; ++t) {
          const double product =
              static_cast<double>(x[t * inputs + i]) * static_cast<double>(x[t * inputs + j]);
          sum += product;
          size += std::abs(product);
        }
        ASSERT_NEAR(hessian.lower()[size_t{i} * inputs + j], sum, 1e-5 * size) << i << " " << j;
      }
  }
}

TEST(Hessian, AddsUp) {
  const std::vector<float> x = uneven_inputs(256, 20, 1);
  Hessian whole(20), parts(20);
  whole.add(x, 1);
  parts.add(std::span(x).first(128 * 20), 1);
  parts.add(std::span(x).subspan(128 * 20), 1);
  EXPECT_EQ(whole.lower(), parts.lower());
}

TEST(Hessian, IsTheSameForAnyThreads) {
  const std::vector<float> x = uneven_inputs(300, 200, 2);
  Hessian one(200), four(200);
  one.add(x, 1);
  four.add(x, 4);
  EXPECT_EQ(one.lower(), four.lower());
}

}  // namespace
}  // namespace ropewalk::test
