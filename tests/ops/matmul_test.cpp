#include <algorithm>
#include <cmath>

#include "tests/ops/op_test.h"

namespace ropewalk::test {
namespace {

using abi::DType;
using abi::Op;

// y = x . W + bias, with its truth in double.
class Product {
 public:
  Product(StoredWeight weight, std::vector<float> bias)
      : weight_(std::move(weight)), bias_(std::move(bias)) {
    for (uint32_t n = 0; n < width(); ++n)
      for (uint32_t k = 0; k < depth(); ++k) columns_.push_back(weight_.at(k, n));
  }

  uint32_t depth() const { return weight_.shape.rows; }
  uint32_t width() const { return weight_.shape.cols; }

  OpCase of_random(uint32_t rows) const {
    return of(Random(rows).values(uint64_t{rows} * depth()));
  }
  OpCase of(std::vector<float> values) const {
    OpCase c(static_cast<uint32_t>(values.size() / depth()));
    const Input x = c.input({depth()}, std::move(values));
    std::vector<uint32_t> in = {x, c.graph.weight("w", weight_)};
    if (!bias_.empty()) in.push_back(c.graph.vector("bias", bias_));
    const uint32_t y = c.op(Op::matmul, in, {width()}, {});
    c.expect(depth() > 300 ? ToleranceClass::long_matmul : ToleranceClass::matmul, y,
             [&](uint32_t r, uint32_t n) { return truth(x, r, n); });
    return c;
  }
  // Of a norm of random values, in an order. From element 128 on the norm's weights make them
  // `behind` times as large.
  OpCase of_norm(uint32_t rows, Random& random, float behind) const {
    OpCase c(rows);
    const Input x = c.random_input({depth()});
    std::vector<float> weight = random.values(depth());
    const std::vector<uint32_t> order = random.permutation(depth());
    for (uint32_t k = 128; k < depth(); ++k) weight[order[k]] *= behind;
    Input normed{0, depth(), {}};
    for (uint32_t r = 0; r < rows; ++r) {
      double squares = 0;
      for (uint32_t k = 0; k < depth(); ++k) squares += x(r, k) * x(r, k);
      const double factor = 1 / std::sqrt(squares / depth() + 1e-5);
      for (const uint32_t k : order)
        normed.values.push_back(static_cast<float>(x(r, k) * factor * double{weight[k]}));
    }
    normed.tensor =
        c.op(Op::rms_norm, {x, c.graph.vector("norm", weight), c.graph.order("order", order)},
             {depth()}, abi::NormParams{1e-5f});
    const uint32_t y = c.op(Op::matmul, {normed, c.graph.weight("w", weight_)}, {width()}, {});
    c.expect(ToleranceClass::long_matmul, y,
             [&](uint32_t r, uint32_t n) { return truth(normed, r, n); });
    return c;
  }
  double truth(const Input& x, uint32_t row, uint32_t column) const {
    double sum = bias_.empty() ? 0 : static_cast<double>(bias_[column]);
    for (uint32_t k = 0; k < depth(); ++k)
      sum += x(row, k) * columns_[uint64_t{column} * depth() + k];
    return sum;
  }

 private:
  StoredWeight weight_;
  std::vector<float> bias_;      // or empty
  std::vector<double> columns_;  // (width, depth)
};

class Matmul : public OpTest {
 protected:
  void check(const Product& product, std::span<const uint32_t> row_counts) {
    run_rows(row_counts, [&](uint32_t rows) { return product.of_random(rows); });
  }

  // The whole list of rows for the stored order; then every other storage, with few rows.
  void check_gptq(uint8_t bits, uint32_t group_size, uint32_t depth) {
    constexpr uint32_t kWidth = 96, kFew[] = {1, 33};
    Random random(bits * 1000 + group_size);
    check({random_gptq({depth, kWidth, bits, group_size, 1, DType::f16}, random), {}}, kRowCounts);
    for (const uint8_t zero_offset : {uint8_t{0}, uint8_t{1}})
      for (const DType scale_dtype : {DType::f16, DType::f32}) {
        if (IsSkipped() || HasFatalFailure()) return;
        SCOPED_TRACE("zero offset " + std::to_string(zero_offset) + ", scales of type " +
                     std::to_string(static_cast<int>(scale_dtype)) +
                     ", rows and columns reordered");
        StoredWeight weight =
            random_gptq({depth, kWidth, bits, group_size, zero_offset, scale_dtype}, random);
        weight.row_order = random.permutation(depth);
        if (zero_offset) weight.column_order = random.permutation(kWidth);
        check({weight, random.values(kWidth)}, kFew);
      }
  }

  void check_dense(DType dtype) {
    constexpr uint32_t kDepth = 150, kWidth = 77, kFew[] = {1, 33};
    Random random(static_cast<uint32_t>(dtype));
    StoredWeight weight = random_dense(dtype, abi::WeightUse::matmul, kDepth, kWidth, random);
    check({weight, {}}, kRowCounts);
    weight.row_order = random.permutation(kDepth);
    weight.column_order = random.permutation(kWidth);
    check({weight, random.values(kWidth)}, kFew);
  }
};

// depth is a multiple of 32, as packed checkpoints have it; the last group is short where it can
// be.
TEST_P(Matmul, gptq2_g32) { check_gptq(2, 32, 160); }
TEST_P(Matmul, gptq2_g64) { check_gptq(2, 64, 160); }
TEST_P(Matmul, gptq2_g128) { check_gptq(2, 128, 288); }
TEST_P(Matmul, gptq2_whole) { check_gptq(2, 224, 224); }
TEST_P(Matmul, gptq3_g32) { check_gptq(3, 32, 160); }
TEST_P(Matmul, gptq3_g64) { check_gptq(3, 64, 160); }
TEST_P(Matmul, gptq3_g128) { check_gptq(3, 128, 288); }
TEST_P(Matmul, gptq3_whole) { check_gptq(3, 224, 224); }
TEST_P(Matmul, gptq4_g32) { check_gptq(4, 32, 160); }
TEST_P(Matmul, gptq4_g64) { check_gptq(4, 64, 160); }
TEST_P(Matmul, gptq4_g128) { check_gptq(4, 128, 288); }
TEST_P(Matmul, gptq4_whole) { check_gptq(4, 224, 224); }
TEST_P(Matmul, gptq8_g32) { check_gptq(8, 32, 160); }
TEST_P(Matmul, gptq8_g64) { check_gptq(8, 64, 160); }
TEST_P(Matmul, gptq8_g128) { check_gptq(8, 128, 288); }
TEST_P(Matmul, gptq8_whole) { check_gptq(8, 224, 224); }
TEST_P(Matmul, f32) { check_dense(DType::f32); }
TEST_P(Matmul, f16) { check_dense(DType::f16); }
TEST_P(Matmul, bf16) { check_dense(DType::bf16); }

// In parts, as a weight larger than the staging memory is loaded; the last part is narrower.
TEST_P(Matmul, packed_in_parts) {
  constexpr uint32_t kDepth = 96, kWidth = 600, kFew[] = {1, 33};
  Random random(9);
  const auto check_parts = [&](StoredWeight weight) {
    weight.part_columns = abi::kPartColumns;
    weight.row_order = random.permutation(kDepth);
    check({weight, {}}, kFew);
    if (IsSkipped() || HasFatalFailure()) return;
    weight.column_order = random.permutation(kWidth);
    check({weight, {}}, kFew);
  };
  for (const uint8_t bits : {uint8_t{2}, uint8_t{3}, uint8_t{4}, uint8_t{8}})
    for (const DType scale_dtype : {DType::f16, DType::f32}) {
      SCOPED_TRACE(std::to_string(bits) + " bits");
      check_parts(random_gptq({kDepth, kWidth, bits, 32, 1, scale_dtype}, random));
    }
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16})
    check_parts(random_dense(dtype, abi::WeightUse::matmul, kDepth, kWidth, random));
}

// A backend may have loops of its own for each of these.
TEST_P(Matmul, gptq_of_few_rows) {
  constexpr uint32_t kRows[] = {3, 4, 5, 6, 7, 9};
  Random random(10);
  for (const uint8_t bits : {uint8_t{2}, uint8_t{3}, uint8_t{4}, uint8_t{8}}) {
    if (IsSkipped() || HasFatalFailure()) return;
    SCOPED_TRACE(std::to_string(bits) + " bits");
    check({random_gptq({160, 96, bits, 32, 1, DType::f16}, random), {}}, kRows);
  }
}

// More rows than a thread block of CUDA multiplies, fewer than cuBLAS takes.
TEST_P(Matmul, gptq4_of_two_row_blocks) {
  constexpr uint32_t kRows[] = {65, 128};
  Random random(8);
  check({random_gptq({160, 96, 4, 32, 1, DType::f16}, random), {}}, kRows);
}

// Neither 32 columns nor 32 rows divide it, and a group is no power of two.
TEST_P(Matmul, gptq4_odd_shape) {
  Random random(7);
  check({random_gptq({104, 72, 4, 40, 1, DType::f16}, random), {}}, kRowCounts);
}

// Wide enough for every column tile of a device, and no multiple of one.
TEST_P(Matmul, gptq4_wide) {
  Random random(8);
  check({random_gptq({64, 1036, 4, 32, 1, DType::f16}, random), random.values(1036)}, kRowCounts);
}
// All zeros of a weight are one number, as in symmetric checkpoints, but for the last column's.
TEST_P(Matmul, gptq4_one_zero) {
  constexpr uint32_t kFew[] = {1, 3, 8, 33, 256};
  Random random(12);
  for (const uint32_t other : {0x77777777u, 0x67777777u}) {
    StoredWeight weight = random_gptq({160, 40, 4, 32, 1, DType::f16}, random);
    std::fill(weight.qzeros.begin(), weight.qzeros.end(), 0x77777777u);
    weight.qzeros.back() = other;
    check({weight, random.values(40)}, kFew);
    if (IsSkipped() || HasFatalFailure()) return;
  }
}
// Deeper than the slice of x that CUDA holds in shared memory, for one row, for eight, and for 16,
// 32 and 64, where warps go around their ring more than once.
TEST_P(Matmul, gptq4_deep) {
  constexpr uint32_t kOne[] = {1}, kEight[] = {2, 8}, kWide[] = {9, 20, 33};
  Random random(14);
  check({random_gptq({16416, 40, 4, 32, 1, DType::f16}, random), {}}, kOne);
  if (IsSkipped() || HasFatalFailure()) return;
  check({random_gptq({2112, 72, 4, 32, 1, DType::f16}, random), {}}, kEight);
  if (IsSkipped() || HasFatalFailure()) return;
  check({random_gptq({5152, 72, 4, 32, 1, DType::f16}, random), {}}, kWide);
}
// A product of one row may compute the norm itself.
TEST_P(Matmul, gptq4_of_a_norm) {
  Random random(15);
  for (const uint32_t depth : {64u, 5152u}) {
    const Product product(random_gptq({depth, 40, 4, 32, 1, DType::f16}, random), {});
    for (const uint32_t rows : {1u, 2u}) run_fused(product.of_norm(rows, random, 1));
  }
}
// Warps of CUDA that look for the max of a row find very different ones.
TEST_P(Matmul, gptq4_of_an_uneven_norm) {
  Random random(18);
  const Product product(random_gptq({256, 40, 4, 32, 1, DType::f16}, random), {});
  for (const float factor : {0x1p-7f, 0x1p7f}) run_fused(product.of_norm(1, random, factor));
}
TEST_P(Matmul, gptq3_wide) {
  Random random(9);
  check({random_gptq({96, 1040, 3, 32, 1, DType::f32}, random), {}}, kRowCounts);
}
// A column of five blocks of 256 elements.
TEST_P(Matmul, dense_deep) {
  constexpr uint32_t kFew[] = {1, 2, 3};
  Random random(16);
  for (const DType dtype : {DType::f16, DType::bf16})
    check({random_dense(dtype, abi::WeightUse::matmul, 1280, 37, random), random.values(37)}, kFew);
}
// It may start before the norm has ended.
TEST_P(Matmul, dense_of_a_norm) {
  Random random(17);
  const Product product(random_dense(DType::f16, abi::WeightUse::matmul, 512, 40, random), {});
  for (const uint32_t rows : {1u, 2u}) run_fused(product.of_norm(rows, random, 1));
}
TEST_P(Matmul, f16_wide) {
  Random random(10);
  check({random_dense(DType::f16, abi::WeightUse::matmul, 70, 1037, random), {}}, kRowCounts);
}

// The whole matrix, bit by bit: the rows of the unit matrix times W are the dequantised weights.
TEST_P(Matmul, dequantised_exactly) {
  constexpr uint32_t kDepth = 96, kWidth = 64;
  Random random(11);
  for (const uint8_t bits : {uint8_t{2}, uint8_t{3}, uint8_t{4}, uint8_t{8}}) {
    const StoredWeight weight = random_gptq({kDepth, kWidth, bits, 32, 1, DType::f16}, random);
    std::vector<float> unit(kDepth * kDepth, 0.0f);
    for (uint32_t k = 0; k < kDepth; ++k) unit[k * kDepth + k] = 1.0f;
    const OpCase c = Product(weight, {}).of(unit);
    run_then(c, [&](Session& session) {
      const std::vector<float> found = session.get(c.expected[0].tensor);
      for (uint32_t k = 0; k < kDepth; ++k)
        for (uint32_t n = 0; n < kWidth; ++n) {
          // scale (11 bits) times an integer (9 bits) is exact in f32.
          const float exact = static_cast<float>(weight.at(k, n));
          if (session.activation_type() == DType::f32)
            ASSERT_EQ(found[k * kWidth + n], exact) << k << ", " << n;
          else
            ASSERT_NEAR(found[k * kWidth + n], exact, std::fabs(exact) * 0x1p-11f);
        }
    });
  }
}

// By hand: a word of 4-bit codes 15, 0, 8, 1, 0, 0, 0, 0 from the lowest bits up, zero stored as
// 15, format "gptq": the zero is 16 and does not wrap to 0 (exllama, q4_matrix.cu, reads it so).
TEST_P(Matmul, stored_zero_15_means_16) {
  StoredWeight weight;
  weight.shape = {.dtype = DType::gptq,
                  .rows = 8,
                  .cols = 8,
                  .bits = 4,
                  .zero_offset = 1,
                  .group_size = 8,
                  .scale_dtype = DType::f32};
  weight.qweight.assign(8, 0x0000180f);
  weight.qzeros = {0xffffffff};
  const std::vector<float> scales(8, 0.5f);
  weight.scales.assign(reinterpret_cast<const std::byte*>(scales.data()),
                       reinterpret_cast<const std::byte*>(scales.data() + 8));
  std::vector<float> unit(32, 0.0f);
  for (uint32_t r = 0; r < 4; ++r) unit[r * 8 + r] = 1.0f;
  const OpCase c = Product(weight, {}).of(unit);
  run_then(c, [&](Session& session) {
    const std::vector<float> found = session.get(c.expected[0].tensor);
    const float column[] = {-0.5f, -8.0f, -4.0f, -7.5f};  // 0.5 * (code - 16)
    for (uint32_t i = 0; i < 32; ++i) EXPECT_EQ(found[i], column[i / 8]);
  });
}

// down_proj of Llama-2 gets inputs whose products exceed the largest f16. Rows of very different
// size in one step, and a row of zeros.
TEST_P(Matmul, inputs_beyond_f16) {
  constexpr uint32_t kDepth = 160, kWidth = 72;
  Random random(13);
  for (const uint32_t rows : {3u, 33u, 256u})
    for (const bool quantised : {true, false}) {
      SCOPED_TRACE(std::to_string(rows) + (quantised ? " rows, gptq" : " rows, f16"));
      const StoredWeight weight =
          quantised ? random_gptq({kDepth, kWidth, 4, 32, 1, DType::f16}, random)
                    : random_dense(DType::f16, abi::WeightUse::matmul, kDepth, kWidth, random);
      std::vector<float> input = random.values(rows * kDepth);
      for (uint32_t i = 0; i < input.size(); ++i)
        input[i] *= i / kDepth % 3 == 0 ? 0x1p24f : i / kDepth % 3 == 1 ? 0x1p-20f : 0.0f;
      const OpCase c = Product(weight, {}).of(input);
      run_then(c, [&](Session& session) {
        const std::vector<float> found = session.get(c.expected[0].tensor);
        const std::vector<double>& truth = c.expected[0].truth;
        for (uint32_t r = 0; r < 3; ++r) {  // each by itself: the large rows would hide the others
          const auto at = static_cast<ptrdiff_t>(r * kWidth);
          if (r == 2)
            EXPECT_EQ(std::count(found.begin() + at, found.begin() + at + kWidth, 0.0f), kWidth);
          else
            expect_close(ToleranceClass::matmul, std::span(found).subspan(r * kWidth, kWidth),
                         {truth.begin() + at, truth.begin() + at + kWidth});
        }
      });
    }
}

// The largest mantissa, which is the most that a scale can hold where x is made integers.
TEST_P(Matmul, an_input_just_below_a_power_of_two) {
  constexpr uint32_t kDepth = 64, kWidth = 40;
  Random random(24);
  const StoredWeight weight = random_gptq({kDepth, kWidth, 4, 32, 1, DType::f16}, random);
  for (const uint32_t rows : {1u, 3u, 9u, 40u}) {
    SCOPED_TRACE(std::to_string(rows) + " rows");
    std::vector<float> input(uint64_t{rows} * kDepth, 0.0f);
    for (uint32_t r = 0; r < rows; ++r) input[r * kDepth + 5] = 0x1.fffffep+3f;
    const OpCase c = Product(weight, {}).of(input);
    run_then(c, [&](Session& session) {
      const std::vector<float> found = session.get(c.expected[0].tensor);
      for (uint32_t i = 0; i < found.size(); ++i) {
        const double truth = c.expected[0].truth[i];
        ASSERT_NEAR(found[i], truth, std::fabs(truth) * 0x1p-10) << i;
      }
    });
  }
}

// A NaN or an infinity in a row of x shows in every value of that row of y, and in no other row.
TEST_P(Matmul, broken_activations_are_seen) {
  constexpr uint32_t kDepth = 96, kWidth = 72;
  Random random(17);
  for (const uint32_t rows : {1u, 3u, 9u, 40u})
    for (const float broken : {NAN, INFINITY}) {
      SCOPED_TRACE(std::to_string(rows) + " rows, " + std::to_string(broken));
      const StoredWeight weight = random_gptq({kDepth, kWidth, 4, 32, 1, DType::f16}, random);
      std::vector<float> input = random.values(rows * kDepth);
      const uint32_t bad_row = rows / 2;
      input[bad_row * kDepth + 37] = broken;
      const OpCase c = Product(weight, {}).of(input);
      run_then(c, [&](Session& session) {
        const std::vector<float> found = session.get(c.expected[0].tensor);
        for (uint32_t i = 0; i < found.size(); ++i)
          ASSERT_EQ(std::isfinite(found[i]), i / kWidth != bad_row) << i;
      });
    }
}

// The last matmul of a model writes the wanted rows' logits in f32.
TEST_P(Matmul, wanted_rows_in_f32) {
  constexpr uint32_t kDepth = 64, kWidth = 40;
  Random random(5);
  const StoredWeight weight =
      random_dense(DType::f16, abi::WeightUse::matmul, kDepth, kWidth, random);
  OpCase c(9);
  c.step.wanted = {2, 5, 8};
  c.shape = {16, 4, 1, 1};
  const Input x{c.graph.activation("x", {abi::kWanted, kDepth}), kDepth, random.values(3 * kDepth)};
  c.inputs.push_back(x);
  const uint32_t y = c.graph.logits("logits", {abi::kWanted, kWidth});
  c.graph.node(Op::matmul, {x, c.graph.weight("w", weight)}, {y}, {});
  const Product product(weight, {});
  c.expect(ToleranceClass::matmul, y,
           [&](uint32_t r, uint32_t n) { return product.truth(x, r, n); });
  run(c);
}

// On matrix cores: each shape of a workgroup, parts of tiles and of blocks, each kind of weight.
class MatrixMatmul : public Matmul {};
TEST_P(MatrixMatmul, workgroups) {
  constexpr uint32_t kCounts[] = {9, 33, 130};
  Random random(17);
  check({random_gptq({160, 200, 4, 32, 1, DType::f16}, random), random.values(200)}, kCounts);
}
TEST_P(MatrixMatmul, part_of_a_block) {
  constexpr uint32_t kFew[] = {17};
  Random random(18);
  StoredWeight weight = random_gptq({104, 72, 3, 40, 1, DType::f32}, random);
  weight.row_order = random.permutation(104);
  weight.column_order = random.permutation(72);
  check({weight, {}}, kFew);
}
TEST_P(MatrixMatmul, f16) {
  constexpr uint32_t kFew[] = {33};
  Random random(19);
  check({random_dense(DType::f16, abi::WeightUse::matmul, 70, 75, random), {}}, kFew);
}
TEST_P(MatrixMatmul, inputs_beyond_f16_and_nan) {
  constexpr uint32_t kDepth = 64, kWidth = 40, kRows = 20, kSpoiled = 7;
  Random random(20);
  std::vector<float> values = random.values(kRows * kDepth);
  for (float& value : values) value *= 1e9f;
  const Product product(random_gptq({kDepth, kWidth, 8, 32, 1, DType::f16}, random), {});
  run(product.of(values));
  values[kSpoiled * kDepth + 3] = std::nanf("");
  const OpCase c = product.of(values);
  run_then(c, [&](Session& session) {
    const std::vector<float> y = session.get(c.expected[0].tensor);
    for (uint32_t i = 0; i < kRows * kWidth; ++i)
      EXPECT_EQ(std::isnan(y[i]), i / kWidth == kSpoiled) << i;
  });
}

// By integer dot products of many rows: each shape of a workgroup, tails of rows, columns, groups.
class DotMatmul : public Matmul {};
TEST_P(DotMatmul, workgroups) {
  constexpr uint32_t kCounts[] = {9, 17, 130};
  Random random(21);
  check({random_gptq({160, 200, 4, 32, 1, DType::f16}, random), random.values(200)}, kCounts);
}
TEST_P(DotMatmul, part_of_a_block) {
  constexpr uint32_t kFew[] = {33};
  Random random(22);
  StoredWeight weight = random_gptq({104, 72, 4, 40, 0, DType::f32}, random);
  weight.row_order = random.permutation(104);
  check({weight, {}}, kFew);
}
// With x in shared memory: both numbers of rows that this is compiled for, and few columns of many
// blocks, so that several workgroups share a column's sum. 65 blocks are no multiple of what a
// slice takes at a time.
TEST_P(DotMatmul, shared_sums) {
  constexpr uint32_t kCounts[] = {9, 16, 31, 32};
  Random random(23);
  check({random_gptq({2080, 200, 4, 32, 1, DType::f16}, random), random.values(200)}, kCounts);
}
TEST_P(DotMatmul, part_of_a_block_in_shared_memory) {
  constexpr uint32_t kFew[] = {11};
  Random random(24);
  StoredWeight weight = random_gptq({280, 24, 4, 40, 1, DType::f32}, random);
  weight.row_order = random.permutation(280);
  check({weight, {}}, kFew);
}
TEST_P(DotMatmul, broken_activations_are_seen) {
  constexpr uint32_t kDepth = 160, kWidth = 200, kRows = 12, kSpoiled = 7;
  Random random(25);
  std::vector<float> values = random.values(kRows * kDepth);
  values[kSpoiled * kDepth + 3] = std::nanf("");
  const Product product(random_gptq({kDepth, kWidth, 4, 32, 1, DType::f16}, random),
                        random.values(kWidth));
  const OpCase c = product.of(values);
  run_then(c, [&](Session& session) {
    const std::vector<float> y = session.get(c.expected[0].tensor);
    for (uint32_t i = 0; i < kRows * kWidth; ++i)
      EXPECT_EQ(std::isnan(y[i]), i / kWidth == kSpoiled) << i;
  });
}

RW_ON_EVERY_DEVICE(Matmul);
RW_ON_SLOW_DEVICE(MatrixMatmul, "vulkan_gpu_matrix");
RW_ON_SLOW_DEVICE(DotMatmul, "vulkan_gpu_dot");

}  // namespace
}  // namespace ropewalk::test
