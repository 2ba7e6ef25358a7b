// Each instruction set that this machine has makes the same bits as plain loops.
#include "core/quantize/kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "tests/quantize/golden_matrix.h"

namespace ropewalk::test {
namespace {

using namespace quantize;

class QuantizeKernels : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    kernels_ = kernels_for(GetParam());
    if (!kernels_) GTEST_SKIP() << "this machine lacks " << GetParam();
  }

  const Kernels* kernels_ = nullptr;
};

// Sizes that fill no block of registers; what lies beside y stays.
template <class T>
void expect_ordered_sums(void (*add)(const Product<T>&)) {
  for (const uint32_t rows : {1u, 7u, 8u, 13u})
    for (const uint32_t columns : {1u, 31u, 32u, 67u})
      for (const bool across : {false, true}) {
        constexpr uint32_t kDepth = 19, kStride = 71;
        const std::vector<float> noise = Noise(rows * columns).values(2 * kStride * kStride);
        const std::vector<T> a(noise.begin(), noise.begin() + kStride * kStride);
        const std::vector<T> b(noise.rbegin(), noise.rbegin() + kStride * kDepth);
        std::vector<T> y(noise.begin(), noise.begin() + kStride * rows), expected = y;
        const size_t a_row = across ? 1 : kStride, a_depth = across ? kStride : 1;
        for (size_t r = 0; r < rows; ++r)
          for (size_t k = 0; k < kDepth; ++k)
            for (size_t c = 0; c < columns; ++c) {
              // Rounded before it is added, whatever the compiler makes of this loop.
              volatile T product = a[r * a_row + k * a_depth] * b[k * kStride + c];
              expected[r * kStride + c] += product;
            }
        add({.y = y.data(),
             .a = a.data(),
             .b = b.data(),
             .y_stride = kStride,
             .a_row = a_row,
             .a_depth = a_depth,
             .b_stride = kStride,
             .rows = rows,
             .depth = kDepth,
             .columns = columns});
        ASSERT_EQ(y, expected) << rows << " " << columns << " " << across;
      }
}

TEST_P(QuantizeKernels, AddProductsInOrder) {
  expect_ordered_sums<float>(kernels_->add_f32);
  expect_ordered_sums<double>(kernels_->add_f64);
}

// Halves between two codes go to the even one, what is beyond the codes to the last.
TEST_P(QuantizeKernels, FindWhatRangesCost) {
  std::vector<float> weights = Noise(3).values(37), importance = Noise(4).values(37);
  for (float& value : importance) value = std::abs(value) + 0.01f;
  weights[0] = 2.5f;
  weights[1] = -1.5f;
  weights[2] = 1e30f;
  std::array<float, kRanges> scales, zeros;
  std::array<double, kRanges> costs{};
  for (uint32_t i = 0; i < kRanges; ++i) {
    scales[i] = i == 0 ? 1.0f : 0.02f * static_cast<float>(i);
    zeros[i] = static_cast<float>(i % 16);
  }
  kernels_->cost({.weights = weights.data(),
                  .importance = importance.data(),
                  .scales = scales.data(),
                  .zeros = zeros.data(),
                  .max_code = 15,
                  .count = 37,
                  .costs = costs.data()});
  for (uint32_t i = 0; i < kRanges; ++i) {
    double cost = 0;
    for (size_t k = 0; k < weights.size(); ++k) {
      const float code = std::clamp(std::nearbyint(weights[k] / scales[i]) + zeros[i], 0.0f, 15.0f);
      volatile float value = scales[i] * (code - zeros[i]);
      const double error =
          static_cast<double>(weights[k] - value) / static_cast<double>(importance[k]);
      volatile double square = error * error;
      cost += square;
    }
    ASSERT_EQ(costs[i], cost) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(All, QuantizeKernels, ::testing::Values("baseline", "avx2", "avx512"),
                         [](const auto& row) { return std::string(row.param); });

TEST(QuantizeKernelNames, AreThoseOfInstructionSets) {
  EXPECT_STREQ(kernels_for("baseline")->name, "baseline");
  EXPECT_EQ(kernels_for("avx1024"), nullptr);
  EXPECT_EQ(&kernels(), kernels_for(kernels().name));
}

}  // namespace
}  // namespace ropewalk::test
