#include <algorithm>
#include <limits>

#include "tests/ops/op_test.h"

namespace ropewalk::test {
namespace {

class LowRank : public OpTest {};

// Gains and shifts of the slots.
enum class Vectors { none, random, identity };

struct Shape {
  uint32_t depth, width, cap;
  std::vector<uint32_t> ranks;  // of the slots
  Vectors vectors = Vectors::none;
};

// (slots, 2, width)
std::vector<float> vectors_of(const Shape& shape, Random& random) {
  if (shape.vectors == Vectors::random) return random.values(shape.ranks.size() * 2 * shape.width);
  std::vector<float> values;
  for (size_t slot = 0; slot < shape.ranks.size(); ++slot) {
    values.insert(values.end(), shape.width, 0.0f);
    values.insert(values.end(), shape.width, -0.0f);
  }
  return values;
}

// Values that f16 holds exactly. What no rank reaches is NaN, so that a device that reads it shows.
std::vector<float> matrices(const Shape& shape, uint32_t rows, uint32_t columns,
                            bool ranks_are_rows, Random& random) {
  std::vector<float> values;
  for (const uint32_t rank : shape.ranks)
    for (uint32_t r = 0; r < rows; ++r)
      for (uint32_t c = 0; c < columns; ++c) {
        const float value = random.value();
        const bool within = (ranks_are_rows ? r : c) < rank;
        values.push_back(within ? value : std::numeric_limits<float>::quiet_NaN());
      }
  return values;
}

// Rows of several sequences; `adapters` has one of each. With several rows a sequence comes first.
void set_sequences(OpCase& c, const std::vector<uint32_t>& rows,
                   const std::vector<uint32_t>& adapters) {
  c.step = {};
  for (uint32_t s = 0; s < rows.size(); ++s) {
    for (uint32_t r = 0; r < rows[s]; ++r) {
      c.step.wanted.push_back(static_cast<uint32_t>(c.step.token.size()));
      c.step.token.push_back(0);
      c.step.position.push_back(r);
      c.step.sequence.push_back(s);
    }
    c.step.length.push_back(rows[s]);
    c.step.page.push_back(0);
  }
  c.step.adapter = adapters;
  c.shape.sequences = static_cast<uint32_t>(rows.size());
}

OpCase low_rank(const Shape& shape, const std::vector<uint32_t>& rows,
                const std::vector<uint32_t>& adapters, bool wanted) {
  uint32_t all = 0;
  for (const uint32_t count : rows) all += count;
  OpCase c(all);
  set_sequences(c, rows, adapters);
  if (wanted && all > 2) {
    c.step.wanted = {all / 3, all - 1};
    c.shape.wanted = 2;
  }
  const auto slots = static_cast<uint32_t>(shape.ranks.size());
  const uint32_t stride = (shape.width + 1) / 2 * 2;
  const auto a = matrices(shape, shape.depth, shape.cap, false, c.random);
  const auto b = matrices(shape, shape.cap, stride, true, c.random);
  const uint32_t a_id = c.graph.matrices("a", {slots, shape.depth, shape.cap}, a);
  const uint32_t b_id = c.graph.matrices("b", {slots, shape.cap, stride}, b);
  const uint32_t ranks = c.graph.ranks("ranks", shape.ranks);
  const auto input = [&](uint32_t width) {
    if (!wanted) return c.random_input({width});
    const uint32_t id = c.graph.activation("w" + std::to_string(width), {abi::kWanted, width});
    c.inputs.push_back({id, width, c.random.values(uint64_t{width} * c.step.wanted.size())});
    return c.inputs.back();
  };
  const Input x = input(shape.depth), y = input(shape.width);
  const uint32_t out = c.graph.activation("out", {wanted ? abi::kWanted : abi::kRows, shape.width});
  std::vector<uint32_t> in = {x, y, a_id, b_id, ranks};
  // Behind the other inputs, so that these are the same with vectors and without.
  const auto vectors = vectors_of(shape, c.random);
  if (shape.vectors != Vectors::none)
    in.push_back(c.graph.vectors("vectors", {slots, 2, shape.width}, vectors));
  c.graph.node(abi::Op::low_rank, std::move(in), {out}, {});
  const auto slot_of = [&](uint32_t r) {
    return c.step.adapter[c.step.sequence[wanted ? c.step.wanted[r] : r]];
  };
  std::vector<std::vector<double>> middle(c.graph.rows(out, c.step));  // x . A of each row
  for (uint32_t r = 0; r < middle.size(); ++r) {
    if (slot_of(r) == abi::kNoAdapter) continue;
    middle[r].resize(shape.ranks[slot_of(r)]);
    for (uint32_t i = 0; i < middle[r].size(); ++i)
      for (uint32_t k = 0; k < shape.depth; ++k)
        middle[r][i] += x(r, k) * static_cast<double>(
                                      a[(uint64_t{slot_of(r)} * shape.depth + k) * shape.cap + i]);
  }
  c.expect(ToleranceClass::matmul, out, [&](uint32_t r, uint32_t n) {
    double sum = y(r, n);
    if (shape.vectors == Vectors::random && slot_of(r) != abi::kNoAdapter) {
      const float* gain = vectors.data() + uint64_t{slot_of(r)} * 2 * shape.width + n;
      sum += static_cast<double>(gain[0]) * y(r, n) + static_cast<double>(gain[shape.width]);
    }
    for (uint32_t i = 0; i < middle[r].size(); ++i)
      sum += middle[r][i] *
             static_cast<double>(b[(uint64_t{slot_of(r)} * shape.cap + i) * stride + n]);
    return sum;
  });
  return c;
}

// Ranks that fill no panel, a slot that leaves the layer alone, odd sizes.
const Shape kOdd{77, 39, 64, {40, 0, 1, 64}};

Shape with_vectors(Shape shape, Vectors vectors) {
  shape.vectors = vectors;
  return shape;
}

TEST_P(LowRank, row_counts_of_one_adapter) {
  run_row_counts([](uint32_t rows) { return low_rank(kOdd, {rows}, {0}, false); });
}

TEST_P(LowRank, no_adapter_copies) {
  OpCase c = low_rank(kOdd, {3, 1}, {abi::kNoAdapter, 1}, false);
  c.expected.front().kind = ToleranceClass::copy;
  run(c);
}

// Prompts and replies with different adapters and without, in tiles and across them.
TEST_P(LowRank, mixed_step) {
  constexpr uint32_t kNone = abi::kNoAdapter;
  run(low_rank(kOdd, {5, 70, 3, 1, 1, 1, 1, 1}, {3, 0, kNone, 0, 0, 2, kNone, 1}, false));
  run(low_rank(kOdd, {1, 1, 1, 1, 1, 1, 1, 1}, {0, 1, 2, 3, kNone, 0, 2, 3}, false));
}

// A slot that leaves the matrices alone (rank 0) has a gain and a shift all the same.
TEST_P(LowRank, vectors_of_a_mixed_step) {
  constexpr uint32_t kNone = abi::kNoAdapter;
  const Shape shape = with_vectors(kOdd, Vectors::random);
  run(low_rank(shape, {5, 70, 3, 1, 1, 1, 1, 1}, {3, 0, kNone, 1, 0, 2, kNone, 1}, false));
  run(low_rank(shape, {1, 1, 1, 1, 1, 1, 1, 1}, {0, 1, 2, 3, kNone, 0, 2, 3}, false));
  run(low_rank(shape, {4, 6, 1}, {0, 3, 1}, true));
  run(low_rank({1344, 700, 512, {512, 16}, Vectors::random}, {9, 1}, {0, 1}, false));
}

TEST_P(LowRank, rows_without_an_adapter_have_no_vectors) {
  OpCase c = low_rank(with_vectors(kOdd, Vectors::random), {3, 1},
                      {abi::kNoAdapter, abi::kNoAdapter}, false);
  c.expected.front().kind = ToleranceClass::copy;
  run(c);
}

// An adapter that needs no vectors beside one that does: what it computes stays the same.
TEST_P(LowRank, vectors_that_change_nothing_keep_every_bit) {
  const std::vector<uint32_t> rows = {5, 70, 3, 1, 1}, adapters = {3, 0, abi::kNoAdapter, 1, 2};
  std::vector<std::vector<float>> found;
  for (const Vectors vectors : {Vectors::none, Vectors::identity}) {
    const OpCase c = low_rank(with_vectors(kOdd, vectors), rows, adapters, false);
    run_then(c, [&](Session& session) { found.push_back(session.get(c.expected[0].tensor)); });
    if (IsSkipped()) return;
  }
  EXPECT_EQ(found[0], found[1]);
}

TEST_P(LowRank, wanted_rows) { run(low_rank(kOdd, {4, 6, 1}, {0, 3, 2}, true)); }

// More than one split of K and several blocks of columns, of 13B's form.
TEST_P(LowRank, deep_and_wide) {
  run(low_rank({1344, 700, 512, {512, 16}}, {9, 1}, {0, 1}, false));
}

// x through s B A of the golden adapter (tests/adapter/golden_test.cpp), exact in f16.
TEST_P(LowRank, literal) {
  OpCase c(1);
  c.step.adapter = {0};
  const Input x = c.input({6}, {1, -2, 0.5f, 3, -1, 2});
  const Input y = c.input({4}, {-2, 1.875f, 0.96875f, -1.53125f});
  std::vector<float> a(6 * 32, 0.0f), b(32 * 4, 0.0f);
  for (uint32_t i = 0; i < 2; ++i) {
    for (uint32_t k = 0; k < 6; ++k)
      a[k * 32 + i] = (static_cast<float>((5 * i + 3 * k) % 7) - 3) / 8;
    for (uint32_t n = 0; n < 4; ++n)
      b[i * 4 + n] = 1.5f * (static_cast<float>((2 * n + 5 * i) % 5) - 2) / 4;
  }
  const uint32_t a_id = c.graph.matrices("a", {1, 6, 32}, a);
  const uint32_t b_id = c.graph.matrices("b", {1, 32, 4}, b), ranks = c.graph.ranks("ranks", {2});
  c.expect_values(ToleranceClass::matmul,
                  c.op(abi::Op::low_rank, {x, y, a_id, b_id, ranks}, {4}, {}),
                  {-1.34375, 1.875, 0.3125, -1.203125});
  run(c);
}

// The same adapter as a DoRA: its rows' factors are in B, the gain is factor - 1, the shift a bias.
TEST_P(LowRank, literal_of_a_dora) {
  OpCase c(1);
  c.step.adapter = {0};
  const float factors[] = {2, 0.5f, 1.5f, 0.25f};
  const Input x = c.input({6}, {1, -2, 0.5f, 3, -1, 2});
  const Input y = c.input({4}, {-2, 1.875f, 0.96875f, -1.53125f});
  std::vector<float> a(6 * 32, 0.0f), b(32 * 4, 0.0f), vectors;
  for (uint32_t i = 0; i < 2; ++i) {
    for (uint32_t k = 0; k < 6; ++k)
      a[k * 32 + i] = (static_cast<float>((5 * i + 3 * k) % 7) - 3) / 8;
    for (uint32_t n = 0; n < 4; ++n)
      b[i * 4 + n] = factors[n] * 1.5f * (static_cast<float>((2 * n + 5 * i) % 5) - 2) / 4;
  }
  for (const float factor : factors) vectors.push_back(factor - 1);
  vectors.insert(vectors.end(), {0.5f, -1, 2, 0});
  const uint32_t a_id = c.graph.matrices("a", {1, 6, 32}, a);
  const uint32_t b_id = c.graph.matrices("b", {1, 32, 4}, b), ranks = c.graph.ranks("ranks", {2});
  const uint32_t v_id = c.graph.vectors("vectors", {1, 2, 4}, vectors);
  c.expect_values(ToleranceClass::matmul,
                  c.op(abi::Op::low_rank, {x, y, a_id, b_id, ranks, v_id}, {4}, {}),
                  {-2.1875, -0.0625, 2.46875, -0.30078125});
  run(c);
}

void expect_same_bits_alone(const Shape& shape, abi::Device& device) {
  const std::vector<uint32_t> adapters = {0, 3, abi::kNoAdapter, 2, 1};
  const OpCase together = low_rank(shape, {70, 2, 1, 1, 1}, adapters, false);
  Session all(together.graph, device, together.shape, Steps::alone);
  for (const Input& input : together.inputs) all.set(input, input.values);
  all.run(together.step);
  const uint32_t out = together.expected.front().tensor;
  const std::vector<float> expected = all.get(out);
  for (uint32_t row = 0; row < together.step.token.size(); ++row) {
    StepData alone = plain_step(1);
    alone.adapter = {adapters[together.step.sequence[row]]};
    Session one(together.graph, device, {1, 1, 1, 1}, Steps::alone);
    for (const Input& input : together.inputs)
      one.set(input, std::span(input.values).subspan(row * input.width, input.width));
    one.run(alone);
    const std::vector<float> got = one.get(out);
    const auto beside = std::span(expected).subspan(size_t{row} * shape.width, shape.width);
    EXPECT_TRUE(std::ranges::equal(got, beside)) << row;
  }
}

// A row has the same bits alone as beside others, with whatever adapters; also where x . A is
// summed in parts and threads share the columns.
TEST_P(LowRank, bits_alone_and_beside_others) {
  if (!is_cpu(GetParam())) GTEST_SKIP() << "promised for CPUs";
  expect_same_bits_alone(kOdd, device());
  expect_same_bits_alone({1344, 1100, 64, kOdd.ranks, Vectors::random}, device());
}

RW_ON_EVERY_DEVICE(LowRank);

}  // namespace
}  // namespace ropewalk::test
