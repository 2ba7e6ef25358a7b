// Products of codes that a CPU may compute in integers: exact where they must be, as good as in f32
// everywhere, and the same bits from every instruction set and for every number of rows.
#include <cmath>
#include <cstring>

#include "tests/ops/op_test.h"

namespace ropewalk::test {
namespace {

using abi::DType;
using abi::Op;

constexpr uint32_t kLargest = (1u << 22) - 1;  // of the integers that a block of x becomes

std::vector<std::string> cpu_devices() {
  std::vector<std::string> names;
  for (const std::string& name : device_names())
    if (is_cpu(name)) names.push_back(name);
  return names;
}

std::vector<std::string> integer_devices() {
  std::vector<std::string> names;
  for (const std::string& name : cpu_devices())
    if (std::string_view(device(name).info().driver).ends_with("vnni")) names.push_back(name);
  return names;
}

// In [-1, 1], of all the bits that a float has.
std::vector<float> noise(Random& random, uint64_t count) {
  std::vector<float> values = random.values(count);
  for (float& value : values) value = (value * 0x1p12f + random.value()) / 4099.0f;
  return values;
}

OpCase product_of(const std::vector<float>& x, const std::vector<StoredWeight>& weights) {
  const uint32_t depth = weights[0].shape.rows;
  OpCase c(static_cast<uint32_t>(x.size() / depth));
  const Input input = c.input({depth}, x);
  for (const StoredWeight& weight : weights) {
    const uint32_t y =
        c.op(Op::matmul, {input, c.graph.weight("w", weight)}, {weight.shape.cols}, {});
    c.expect(depth > 300 ? ToleranceClass::long_matmul : ToleranceClass::matmul, y,
             [&](uint32_t r, uint32_t n) {
               double sum = 0;
               for (uint32_t k = 0; k < depth; ++k) sum += input(r, k) * weight.at(k, n);
               return sum;
             });
  }
  return c;
}

// One block, scales of 1, and zeros of 0 to 16.
class OneBlock {
 public:
  static constexpr uint32_t kDepth = 32, kWidth = 34;

  // code(k, n)
  template <class Code>
  explicit OneBlock(const Code& code) {
    for (uint32_t n = 0; n < kWidth; ++n)
      for (uint32_t k = 0; k < kDepth; ++k) codes_[n][k] = code(k, n);
  }
  static uint32_t zero(uint32_t n) { return n % 17; }

  // Zeros 0 to 15 without an offset, or 1 to 16 with one; the others are wrong by 1.
  StoredWeight stored(uint8_t zero_offset) const {
    StoredWeight weight;
    weight.shape = {.dtype = DType::gptq,
                    .rows = kDepth,
                    .cols = kWidth,
                    .bits = 4,
                    .zero_offset = zero_offset,
                    .group_size = kDepth,
                    .scale_dtype = DType::f32};
    weight.qweight.assign(kDepth / 8 * kWidth, 0);
    weight.qzeros.assign((kWidth + 7) / 8, 0);
    for (uint32_t n = 0; n < kWidth; ++n) {
      weight.qzeros[n / 8] |= ((zero(n) - zero_offset) & 15u) << n % 8 * 4;
      for (uint32_t k = 0; k < kDepth; ++k)
        weight.qweight[k / 8 * kWidth + n] |= codes_[n][k] << k % 8 * 4;
    }
    const std::vector<float> ones(kWidth, 1.0f);
    const auto* bytes = reinterpret_cast<const std::byte*>(ones.data());
    weight.scales.assign(bytes, bytes + kWidth * sizeof(float));
    return weight;
  }
  // Of x = factor * integers: the sum, rounded once.
  float product(std::span<const int32_t> x, uint32_t n, float factor) const {
    int64_t sum = 0;
    for (uint32_t k = 0; k < kDepth; ++k) sum += int64_t{x[k]} * (int64_t{codes_[n][k]} - zero(n));
    return static_cast<float>(sum) * factor;
  }

 private:
  uint32_t codes_[kWidth][kDepth];
};

class IntegerSums : public OpTest {
 protected:
  void expect_exact(const OneBlock& block, const std::vector<int32_t>& integers) {
    for (const float factor : {0x1p-80f, 1.0f, 0x1p60f})
      for (const uint8_t zero_offset : {uint8_t{0}, uint8_t{1}}) {
        std::vector<float> x;
        for (const int32_t integer : integers) x.push_back(static_cast<float>(integer) * factor);
        const OpCase c = product_of(x, {block.stored(zero_offset)});
        run_then(c, [&](Session& session) {
          const std::vector<float> y = session.get(c.expected[0].tensor);
          for (uint32_t i = 0; i < y.size(); ++i) {
            const uint32_t n = i % OneBlock::kWidth,
                           first = i / OneBlock::kWidth * OneBlock::kDepth;
            if (OneBlock::zero(n) == (zero_offset ? 0 : 16)) continue;
            const std::span<const int32_t> row(&integers[first], OneBlock::kDepth);
            ASSERT_EQ(y[i], block.product(row, n, factor)) << i << " times " << factor;
          }
        });
      }
  }
};

TEST_P(IntegerSums, are_rounded_once) {
  Random random(1);
  const OneBlock block([&](uint32_t, uint32_t) { return random.below(16); });
  std::vector<int32_t> x;
  for (uint32_t i = 0; i < 9 * OneBlock::kDepth; ++i)
    x.push_back(static_cast<int32_t>(random.below(2 * kLargest + 1)) -
                static_cast<int32_t>(kLargest));
  for (uint32_t r = 0; r < 9; ++r) x[r * OneBlock::kDepth + r] = kLargest;  // fixes the scale
  expect_exact(block, x);
}

// 32 * 16 * (2^22 - 1), which int32 just holds.
TEST_P(IntegerSums, may_be_the_largest) {
  const int32_t largest = kLargest;
  std::vector<int32_t> x(2 * OneBlock::kDepth, largest);
  std::fill_n(x.begin(), OneBlock::kDepth, -largest);
  expect_exact(OneBlock([](uint32_t, uint32_t) { return 0u; }), x);
  expect_exact(OneBlock([](uint32_t, uint32_t) { return 15u; }), x);
}

// The largest element rounds to a power of two, so the others have one bit less: they are multiples
// of 4.
TEST_P(IntegerSums, of_an_input_that_rounds_up) {
  const OneBlock block([](uint32_t k, uint32_t n) { return (3 * k + 5 * n) % 16; });
  std::vector<float> x(OneBlock::kDepth, -6.0f);
  x[7] = -0x1.fffffep+22f;
  std::vector<int32_t> rounded(OneBlock::kDepth, -8);
  rounded[7] = -(1 << 23);
  const OpCase c = product_of(x, {block.stored(0)});
  run_then(c, [&](Session& session) {
    const std::vector<float> y = session.get(c.expected[0].tensor);
    for (uint32_t n = 0; n < 16; ++n) EXPECT_EQ(y[n], block.product(rounded, n, 1.0f)) << n;
  });
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(IntegerSums);
INSTANTIATE_TEST_SUITE_P(Cpu, IntegerSums, testing::ValuesIn(integer_devices()), device_of);

class Codes : public OpTest {};

// One element of a row is 100 times the standard deviation of the others.
TEST_P(Codes, beside_an_outlier) {
  Random random(2);
  for (const uint8_t bits : {uint8_t{2}, uint8_t{3}, uint8_t{4}, uint8_t{8}})
    for (const uint32_t rows : {1u, 2u, 9u, 130u}) {
      const StoredWeight weight = random_gptq({160, 72, bits, 32, 1, DType::f16}, random);
      std::vector<float> x = noise(random, rows * 160);
      for (uint32_t r = 0; r < rows; ++r) x[r * 160 + 37 + r % 64] = r % 2 ? 58.0f : -58.0f;
      run(product_of(x, {weight}));
    }
}

TEST_P(Codes, of_any_size_of_x) {
  Random random(3);
  for (const float factor : {1e30f, 0x1p125f, 1e-9f, 0x1p-95f}) {
    SCOPED_TRACE(factor);
    std::vector<float> x = noise(random, 3 * 96);
    for (float& value : x) value *= factor;
    StoredWeight weight = random_gptq({96, 72, 4, 32, 1, DType::f32}, random);
    auto* scales = reinterpret_cast<float*>(weight.scales.data());
    for (uint32_t i = 0; i < weight.scales.size() / sizeof(float); ++i) scales[i] *= 0x1p-12f;
    run(product_of(x, {weight}));
  }
}

// Below 2^-105 elements may lose bits, of which the last is then 2^-126.
TEST_P(Codes, of_denormal_x) {
  constexpr uint32_t kDepth = 96;
  Random random(4);
  const StoredWeight weight = random_gptq({kDepth, 72, 4, 32, 1, DType::f16}, random);
  for (const float factor : {0x1p-110f, 0x1p-126f, 0x1p-140f, 0.0f}) {
    std::vector<float> x = noise(random, 3 * kDepth);
    for (float& value : x) value *= factor;
    const OpCase c = product_of(x, {weight});
    run_then(c, [&](Session& session) {
      const std::vector<float> y = session.get(c.expected[0].tensor);
      for (uint32_t i = 0; i < y.size(); ++i)
        ASSERT_NEAR(y[i], c.expected[0].truth[i], factor == 0 ? 0 : kDepth * 16 * 0x1p-127) << i;
    });
  }
}

// Products of one x may share what they make of it, but not with another group size, nor where the
// rows are more than what they keep.
TEST_P(Codes, of_one_x_for_several_weights) {
  Random random(5);
  const auto weight = [&](uint8_t bits, uint32_t group_size) {
    return random_gptq({240, 40, bits, group_size, 1, DType::f16}, random);
  };
  const std::vector<StoredWeight> weights = {weight(4, 48), weight(2, 48), weight(4, 80),
                                             weight(8, 80), weight(4, 48), weight(4, 48)};
  for (const uint32_t rows : {1u, 5u, 128u, 129u, 300u}) {
    SCOPED_TRACE(rows);
    run(product_of(noise(random, rows * 240), weights));
  }
}

INSTANTIATE_TEST_SUITE_P(Cpu, Codes, testing::ValuesIn(cpu_devices()), device_of);

class IntegerBits : public testing::TestWithParam<GptqShape> {
 protected:
  static constexpr uint32_t kMaxRows = 300;

  // The product of `rows` of the rows of x_, from `first` on.
  std::vector<float> rows_of(const std::string& device_name, uint32_t first, uint32_t rows) {
    const auto begin = x_.begin() + static_cast<ptrdiff_t>(first) * GetParam().rows;
    const OpCase c =
        product_of({begin, begin + static_cast<ptrdiff_t>(rows) * GetParam().rows}, {weight_});
    Session session(c.graph, device(device_name), c.shape, Steps::alone);
    session.set(c.inputs[0], c.inputs[0].values);
    session.run(c.step);
    return session.get(c.expected[0].tensor);
  }
  void expect_same(const std::vector<float>& part, const std::vector<float>& whole,
                   uint32_t first) const {
    EXPECT_EQ(std::memcmp(part.data(), whole.data() + uint64_t{first} * GetParam().cols,
                          part.size() * sizeof(float)),
              0);
  }

  Random random_{6};
  StoredWeight weight_ = random_gptq(GetParam(), random_);
  std::vector<float> x_ = noise(random_, uint64_t{kMaxRows} * GetParam().rows);
};

TEST_P(IntegerBits, are_those_of_every_instruction_set_and_number_of_rows) {
  for (uint32_t i = 0; i < x_.size(); ++i) x_[i] *= std::exp2(static_cast<float>(i % 40) - 20.0f);
  const std::vector<float> whole = rows_of("cpu_baseline_vnni", 0, kMaxRows);
  for (const std::string& name : integer_devices()) {
    SCOPED_TRACE(name);
    expect_same(rows_of(name, 0, kMaxRows), whole, 0);
    for (const uint32_t rows : {1u, 2u, 9u, 17u, 129u})
      expect_same(rows_of(name, 7, rows), whole, 7);
  }
}

INSTANTIATE_TEST_SUITE_P(Cpu, IntegerBits,
                         testing::Values(GptqShape{160, 72, 4, 32, 1, DType::f16},
                                         GptqShape{160, 72, 4, 64, 0, DType::f32},
                                         GptqShape{288, 40, 4, 128, 1, DType::f16},
                                         GptqShape{224, 40, 4, 224, 1, DType::f16},
                                         GptqShape{104, 72, 4, 40, 1, DType::f32},
                                         GptqShape{160, 40, 2, 32, 1, DType::f16},
                                         GptqShape{112, 40, 2, 48, 0, DType::f32}),
                         [](const auto& shape) {
                           return std::to_string(shape.param.bits) + "_bits_of_" +
                                  std::to_string(shape.param.rows) + "_g" +
                                  std::to_string(shape.param.group_size);
                         });

}  // namespace
}  // namespace ropewalk::test
