// Attention shows what kv_append stores: a sharp query selects one key, so attention returns that
// key's value as the cache holds it. The session checks the bounds.
#include <cmath>

#include "core/abi/kv_page.h"
#include "tests/ops/harness/half.h"
#include "tests/ops/op_test.h"

namespace ropewalk::test {
namespace {

using abi::DType;

constexpr uint32_t kDim = 32;

class KvAppend : public OpTest {
 protected:
  // The value that row 0 of a one-token sequence reads back: softmax over one key is 1.
  void check(DType cache, const std::vector<float>& value, const std::vector<double>& stored) {
    OpCase c(1);
    c.step.page = {1};
    const Input q = c.input({1, kDim}, std::vector<float>(kDim, 1));
    const Input k = c.input({1, kDim}, value), v = c.input({1, kDim}, value);
    const uint32_t keys = c.graph.cache("keys", cache, {2, abi::kDefaultPageTokens, 1, kDim});
    const uint32_t values = c.graph.cache("values", cache, {2, abi::kDefaultPageTokens, 1, kDim});
    c.graph.node(abi::Op::kv_append, {k, v, keys, values}, {}, {});
    const uint32_t y = c.op(abi::Op::attention, {q, keys, values}, {kDim}, abi::AttentionParams{});
    c.expect_values(ToleranceClass::attention, y, stored);
    run(c);
  }
};

std::vector<float> padded(std::vector<float> values) {
  values.resize(kDim, 0);
  return values;
}

std::vector<double> padded(std::vector<double> values) {
  values.resize(kDim, 0);
  return values;
}

// max|x| = 127: the scale is 1, and codes are the numbers rounded, ties to even.
TEST_P(KvAppend, i8_rounds_ties_to_even) {
  check(DType::i8, padded(std::vector<float>{127, 0.5f, 1.5f, 2.5f, -0.5f, -2.5f, 3.25f, -126.5f}),
        padded(std::vector<double>{127, 0, 2, 2, 0, -2, 3, -126}));
}

TEST_P(KvAppend, i8_zeros_stay_zeros) {
  check(DType::i8, std::vector<float>(kDim, 0), std::vector<double>(kDim, 0));
}

// Wherever the largest value lies, the scale is that of the whole head.
TEST_P(KvAppend, i8_scale_is_of_the_whole_head) {
  for (const uint32_t at : {0u, 5u, kDim - 1}) {
    SCOPED_TRACE(at);
    std::vector<float> value(kDim, 1);
    value[at] = 127;
    check(DType::i8, value, {value.begin(), value.end()});
  }
}

// 1/127 is not a number of f16: the scale is the nearest one, 0.00787353515625.
TEST_P(KvAppend, i8_scale_is_f16) {
  check(DType::i8, padded(std::vector<float>{1, -1}),
        padded(std::vector<double>{127 * 0.00787353515625, -127 * 0.00787353515625}));
}

// Each value lies on, just below or just above the middle of two neighbours in f16.
TEST_P(KvAppend, f16_rounds_ties_to_even) {
  if (device().info().activation == DType::f16)
    GTEST_SKIP() << "activations are f16 already: nothing is left to round";
  const std::vector<float> x = {1 + 0x1p-11f, 1 + 0x3p-11f,    1 + 0x1p-11f + 0x1p-23f,
                                65504,        0x1p-24f,        0x1.8p-24f,
                                0x1p-25f,     0x1.000002p-25f, -0x1p-14f,
                                0x1.ffbp-15f, 0x1.ffcp-15f,    -2.5f};
  const std::vector<double> stored = {1, 1 + 0x1p-9, 1 + 0x1p-10, 65504,       0x1p-24, 0x1p-23,
                                      0, 0x1p-24,    -0x1p-14,    0x1.ff8p-15, 0x1p-14, -2.5};
  for (size_t i = 0; i < x.size(); ++i) {
    SCOPED_TRACE(x[i]);
    ASSERT_EQ(rounded_to_f16(static_cast<double>(x[i])), stored[i]);
    check(DType::f16, std::vector<float>(kDim, x[i]), std::vector<double>(kDim, stored[i]));
  }
}

// The middle between every two neighbours of f16, and the numbers of f32 on both sides of it.
TEST_P(KvAppend, every_f16_boundary) {
  if (device().info().activation == DType::f16)
    GTEST_SKIP() << "activations are f16 already: nothing is left to round";
  constexpr uint32_t kHeads = 64, kWide = 256, kCount = kHeads * kWide;
  std::vector<float> boundaries;
  for (uint16_t half = 0; half < 0x7bff; ++half) {
    const double low = f16_value(half), high = f16_value(static_cast<uint16_t>(half + 1));
    const auto middle = static_cast<float>((low + high) / 2);
    boundaries.insert(boundaries.end(),
                      {middle, std::nextafter(middle, 1e9f), std::nextafter(middle, 0.0f)});
  }
  boundaries.resize((boundaries.size() + kCount - 1) / kCount * kCount, 0);

  Case c;
  const uint32_t q = c.activation("q", {abi::kRows, kHeads, kWide});
  const uint32_t k = c.activation("k", {abi::kRows, kHeads, kWide});
  const uint32_t v = c.activation("v", {abi::kRows, kHeads, kWide});
  const uint32_t y = c.activation("y", {abi::kRows, kCount});
  const std::vector<uint32_t> dims = {1, abi::kDefaultPageTokens, kHeads, kWide};
  const uint32_t keys = c.cache("keys", DType::f16, dims);
  const uint32_t values = c.cache("values", DType::f16, dims);
  c.node(abi::Op::kv_append, {k, v, keys, values}, {}, {});
  c.node(abi::Op::attention, {q, keys, values}, {y}, abi::AttentionParams{});
  with_session(c, {1, 1, 1, 1}, [&](Session& session) {
    for (size_t first = 0; first < boundaries.size(); first += kCount) {
      const std::span<const float> part = std::span(boundaries).subspan(first, kCount);
      session.set(q, std::vector<float>(kCount, 0));
      session.set(k, std::vector<float>(kCount, 0));
      session.set(v, part);
      session.repeat(plain_step(1));  // large pages; other tests look at their bounds
      const std::vector<float> found = session.get(y);
      for (uint32_t i = 0; i < kCount; ++i)
        ASSERT_EQ(static_cast<double>(found[i]), rounded_to_f16(static_cast<double>(part[i])))
            << part[i];
    }
  });
}

RW_ON_EVERY_DEVICE(KvAppend);

}  // namespace
}  // namespace ropewalk::test
