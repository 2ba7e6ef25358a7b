// Attention and the product behind it in one step, against the same nodes one by one on the same
// device, and its bits from run to run.
#include <algorithm>
#include <cstring>

#include "core/abi/step_counts.h"
#include "tests/ops/harness/conversation.h"
#include "tests/ops/op_test.h"

namespace ropewalk::test {
namespace {

using abi::DType;
using abi::Op;

// Attention, the product that alone reads its result, and an add: texts that grow token by token,
// from keys of one workgroup to those of several.
class AttentionThenProduct : public OpTest {
 protected:
  static constexpr uint32_t kContext = 256, kColumns = 72;
  static constexpr AttentionShape kHeadsOf128{4, 2, 128, DType::f16, kRotatedKeys, true};

  struct Attended : AttentionCase {
    Attended(const AttentionShape& shape, const Conversation& conversation, bool adds)
        : AttentionCase(shape, conversation) {
      Random random(12);
      bias = random.values(kColumns);
      weight = random_gptq({shape.heads * shape.dim, kColumns, 4, 32, 1, DType::f16}, random);
      residual = description.activation("residual", {abi::kRows, kColumns});
      result = description.activation("product", {abi::kRows, kColumns});
      description.node(Op::matmul,
                       {y, description.weight("w", weight), description.vector("bias", bias)},
                       {result}, {});
      if (!adds) return;
      const uint32_t sum = description.activation("sum", {abi::kRows, kColumns});
      description.node(Op::add, {residual, result}, {sum}, abi::AddParams{});
      result = sum;
    }
    void set(Session& session, const Turn& turn) const {
      session.set(q, turn.q);
      session.set(k, turn.k);
      session.set(v, turn.v);
      session.set(residual, residual_values(turn));
    }
    static std::vector<float> residual_values(const Turn& turn) {
      return Random(13).values(turn.step.position.size() * kColumns);
    }
    StoredWeight weight;
    std::vector<float> bias;
    uint32_t residual, result;
  };

  static bool offers(const Session& session, size_t nodes_of_fusion) {
    return std::ranges::count(session.step_sizes(), nodes_of_fusion) > 0;
  }

  // `count` tokens of sequence 0, `at_once` a step, then one token a step of both sequences.
  static std::vector<std::vector<Part>> turns(uint32_t count, uint32_t at_once, uint32_t of_both) {
    std::vector<std::vector<Part>> all(count / at_once, {{0, at_once}});
    all.insert(all.end(), of_both, {{0, 1}, {1, 1}});
    return all;
  }

  void check_turns(const AttentionShape& shape, bool adds, uint32_t rows,
                   const std::vector<std::vector<Part>>& turns) {
    Conversation conversation(shape, 2, kContext);
    const Attended c(shape, conversation, adds);
    const abi::ProgramShape program{rows, 1, 2, conversation.pages_per_sequence()};
    Session alone(c.description, device(), program, Steps::alone);
    Session fused(c.description, device(), program, Steps::fused);
    if (!offers(fused, adds ? 3 : 2))
      GTEST_SKIP() << GetParam() << " does not support this: it offers no such fusion";
    for (size_t i = 0; i < turns.size(); ++i) {
      SCOPED_TRACE("turn " + std::to_string(i));
      const Turn turn = conversation.next(turns[i]);
      for (Session* session : {&alone, &fused}) {
        c.set(*session, turn);
        session->run(turn.step);
      }
      const std::vector<float> truth = alone.get(c.result);
      expect_close(ToleranceClass::add, fused.get(c.result),
                   std::vector<double>(truth.begin(), truth.end()));
      if (HasFailure()) return;
    }
    // kv_append, attention, product; before more rows than two read them, splits are joined apart
    EXPECT_EQ(dispatches(), rows <= 2 ? 3u : 4u);
  }

  // Of the step that ran last.
  uint64_t dispatches() const {
    void* counting = nullptr;
    abi::StepCounts counts;
    test::check(device().extension(abi::kStepCounts, &counting), "extension");
    test::check(static_cast<abi::StepCounting*>(counting)->last_step(&counts), "last_step");
    return counts.dispatches;
  }
};

TEST_P(AttentionThenProduct, of_one_row) { check_turns(kHeadsOf128, true, 1, turns(70, 1, 0)); }
TEST_P(AttentionThenProduct, of_two_rows) { check_turns(kHeadsOf128, true, 2, turns(134, 2, 5)); }
TEST_P(AttentionThenProduct, of_three_rows) { check_turns(kHeadsOf128, true, 3, turns(72, 3, 2)); }
TEST_P(AttentionThenProduct, in_a_window_without_an_add) {
  check_turns({2, 1, 80, DType::i8, kRotatedKeys, false, 70}, false, 2, turns(150, 2, 2));
}

// Whichever workgroup ends last, it adds up in one order: the same step has the same bits.
TEST_P(AttentionThenProduct, same_bits_whoever_ends_last) {
  Conversation conversation(kHeadsOf128, 2, kContext);
  const Attended c(kHeadsOf128, conversation, true);
  Session session(c.description, device(), {2, 1, 2, conversation.pages_per_sequence()},
                  Steps::fused);
  if (!offers(session, 3))
    GTEST_SKIP() << GetParam() << " does not support this: it offers no such fusion";
  std::vector<float> first;
  for (const std::vector<Part>& parts : turns(240, 2, 1)) {
    const Turn turn = conversation.next(parts);
    c.set(session, turn);
    session.repeat(turn.step);
    if (parts.size() == 1) continue;
    for (int run = 0; run < 200; ++run) {
      session.repeat(turn.step);
      const std::vector<float> bits = session.get(c.result);
      if (run == 0) first = bits;
      ASSERT_EQ(std::memcmp(bits.data(), first.data(), bits.size() * sizeof bits[0]), 0) << run;
    }
  }
}

// The splits of a GPU's attention, 64 keys each.
class JoinedAttention : public AttentionThenProduct {};

// In f32, before the product rounds its x. All weights are one: a large value in the first split,
// its opposite in the third, and in the other two such as are lost in a sum with either. In the
// order of the splits the last one's is left; from whichever other split the sum begins, another
// one's or nothing.
TEST_P(JoinedAttention, splits_are_added_in_their_order) {
  constexpr uint32_t kKeysOfSplit = 64;
  constexpr float kValues[] = {0x1p15f, 0x1p-10f, -0x1p15f, 0x1p-11f};
  Conversation conversation(kHeadsOf128, 1, kContext);
  const Attended c(kHeadsOf128, conversation, true);
  Session session(c.description, device(), {2, 1, 1, conversation.pages_per_sequence()},
                  Steps::fused);
  if (!offers(session, 3))
    GTEST_SKIP() << GetParam() << " does not support this: it offers no such fusion";
  Turn turn;
  for (uint32_t key = 0; key < kContext; key += 2) {
    turn = conversation.next({{0, 2}});
    std::ranges::fill(turn.q, 0.0f);
    std::ranges::fill(turn.v, kValues[key / kKeysOfSplit]);
    c.set(session, turn);
    session.repeat(turn.step);
  }
  // of the last row, which sees all keys
  const std::vector<float> residual = Attended::residual_values(turn);
  std::vector<double> truth;
  for (uint32_t n = 0; n < kColumns; ++n) {
    double sum = 0;
    for (uint32_t k = 0; k < c.weight.shape.rows; ++k) sum += c.weight.at(k, n);
    truth.push_back(double{kValues[3]} / 4 * sum + double{c.bias[n]} +
                    double{residual[kColumns + n]});
  }
  std::vector<float> first;
  for (int run = 0; run < 100; ++run) {
    session.repeat(turn.step);
    const std::vector<float> found = session.get(c.result);
    ASSERT_EQ(found.size(), residual.size());
    for (uint32_t n = 0; n < kColumns; ++n)
      ASSERT_NEAR(double{found[kColumns + n]}, truth[n], 2e-6) << "run " << run << ", " << n;
    if (run == 0) first = found;
    ASSERT_EQ(std::memcmp(found.data(), first.data(), found.size() * sizeof found[0]), 0) << run;
  }
}

std::vector<std::string> devices_that_join() {
  std::vector<std::string> names = device_names();
  std::erase_if(names, [](const std::string& name) { return !name.starts_with("vulkan_gpu"); });
  return names;
}

RW_ON_EVERY_DEVICE(AttentionThenProduct);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(JoinedAttention);
INSTANTIATE_TEST_SUITE_P(Ops, JoinedAttention, testing::ValuesIn(devices_that_join()), device_of);

}  // namespace
}  // namespace ropewalk::test
