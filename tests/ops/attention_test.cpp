#include <algorithm>
#include <cmath>

#include "tests/ops/harness/conversation.h"
#include "tests/ops/op_test.h"

namespace ropewalk::test {
namespace {

using abi::DType;
using abi::KeyRotation;

constexpr uint32_t kMaxRows = 256, kFewRows = 48, kContext = 768;

class Attention : public OpTest {
 protected:
  // In a program for prompts, then in a narrow one, which may have another kernel.
  void check(const AttentionShape& shape, uint32_t sequences,
             const std::vector<std::vector<Part>>& turns) {
    check_turns(shape, sequences, turns, kMaxRows);
    if (!IsSkipped()) check_turns(shape, sequences, narrow(turns), kFewRows);
  }

  void check_turns(const AttentionShape& shape, uint32_t sequences,
                   const std::vector<std::vector<Part>>& turns, uint32_t rows) {
    Conversation conversation(shape, sequences, kContext);
    const AttentionCase c(shape, conversation);
    const abi::ProgramShape program{rows, 1, sequences, conversation.pages_per_sequence()};
    with_session(c.description, program, [&](Session& session) {
      for (size_t i = 0; i < turns.size(); ++i) {
        SCOPED_TRACE("turn " + std::to_string(i) + " of at most " + std::to_string(rows) + " rows");
        const Turn turn = conversation.next(turns[i]);
        session.set(c.q, turn.q);
        session.set(c.k, turn.k);
        session.set(c.v, turn.v);
        session.run(turn.step);
        outputs_.push_back(session.get(c.y));
        expect_close(ToleranceClass::attention, outputs_.back(), turn.truth);
      }
    });
  }

  // The same rows in more turns of at most kFewRows.
  static std::vector<std::vector<Part>> narrow(const std::vector<std::vector<Part>>& turns) {
    std::vector<std::vector<Part>> all;
    for (const std::vector<Part>& turn : turns) {
      uint32_t room = 0;
      for (Part part : turn)
        for (uint32_t left = part.count; left > 0; left -= part.count, room -= part.count) {
          if (room == 0) {
            all.emplace_back();
            room = kFewRows;
          }
          part.count = std::min(left, room);
          all.back().push_back(part);
        }
    }
    return all;
  }

  // A prompt over the end of a span of 256 keys, tokens one by one, and the row counts of the list
  // on top.
  void check_shape(const AttentionShape& shape) {
    check(shape, 1, {{{0, 250}}, {{0, 1}}, {{0, 8}}, {{0, 1}}, {{0, 33}}});
  }

  std::vector<std::vector<float>> outputs_;  // of each turn so far
};

TEST_P(Attention, dim_32) { check_shape({3, 3, 32, DType::f16, kRotatedKeys, false}); }
TEST_P(Attention, dim_64) { check_shape({3, 3, 64, DType::f16, kRotatedKeys, false}); }
TEST_P(Attention, dim_80) { check_shape({2, 2, 80, DType::f16, kRotatedKeys, false}); }
TEST_P(Attention, dim_96) { check_shape({2, 2, 96, DType::f16, kRotatedKeys, false}); }
TEST_P(Attention, dim_128) { check_shape({2, 2, 128, DType::f16, kRotatedKeys, false}); }
TEST_P(Attention, dim_256) { check_shape({1, 1, 256, DType::f16, kRotatedKeys, false}); }
TEST_P(Attention, grouped_queries) { check_shape({8, 2, 64, DType::f16, kRotatedKeys, false}); }
TEST_P(Attention, one_kv_head) { check_shape({5, 1, 64, DType::f16, kRotatedKeys, false}); }
TEST_P(Attention, cache_f32) { check_shape({4, 2, 64, DType::f32, kRotatedKeys, false}); }
TEST_P(Attention, cache_i8) { check_shape({4, 2, 64, DType::i8, kRotatedKeys, false}); }
TEST_P(Attention, ordered) { check_shape({4, 2, 64, DType::f16, kRotatedKeys, true}); }
TEST_P(Attention, on_read) { check_shape({4, 2, 64, DType::f32, KeyRotation::on_read, false}); }
TEST_P(Attention, on_read_i8) { check_shape({2, 1, 80, DType::i8, KeyRotation::on_read, true}); }

TEST_P(Attention, on_read_f16) { check_shape({4, 2, 64, DType::f16, KeyRotation::on_read, false}); }

// Windows that end within a page, hide whole pages, and are longer than the text; one key alone.
TEST_P(Attention, windows) {
  for (const uint32_t window : {100u, 256u, 1u, 1000u}) {
    SCOPED_TRACE(window);
    check_shape({4, 2, 64, DType::f16, kRotatedKeys, false, window});
  }
}
TEST_P(Attention, window_long_text) {
  for (const DType cache : {DType::f16, DType::i8, DType::f32})
    check({4, 2, 64, cache, kRotatedKeys, cache == DType::f16, 150}, 2,
          {{{0, 250}, {1, 3}}, {{0, 250}, {1, 1}}, {{0, 1}, {1, 1}}, {{0, 120}, {1, 120}}});
}
TEST_P(Attention, window_of_keys_rotated_on_read) {
  check_shape({2, 1, 80, DType::f16, KeyRotation::on_read, true, 90});
}
TEST_P(Attention, keys_rotated_on_read_by_the_second_table) {
  check({4, 2, 64, DType::f16, KeyRotation::on_read, false, 90, 0, abi::kDefaultPageTokens, 1}, 2,
        {{{0, 120}, {1, 3}}, {{0, 9}, {1, 1}}, {{0, 1}, {1, 1}}});
}
TEST_P(Attention, soft_cap) {
  for (const DType cache : {DType::f16, DType::i8})
    check_shape({4, 2, 64, cache, kRotatedKeys, false, 0, 2.5f});
  check_shape({4, 2, 64, DType::f16, KeyRotation::on_read, false, 70, 1.5f});
}

// Prompts of several sequences; all rows see several tiles of 128 keys. With and without a window.
TEST_P(Attention, prompts_with_heads_of_128) {
  for (const uint32_t window : {0u, 150u})
    check({4, 2, 128, DType::f16, kRotatedKeys, window != 0, window}, 3,
          {{{0, 240}, {1, 3}}, {{0, 150}, {1, 1}, {2, 100}}, {{0, 90}, {1, 40}, {2, 1}}});
}

// Heads that share keys and values.
TEST_P(Attention, groups_of_heads) {
  for (const DType cache : {DType::f16, DType::i8})
    for (const uint32_t heads : {4u, 6u, 8u, 3u}) {
      SCOPED_TRACE(std::to_string(heads) + " heads, type " + std::to_string(int(cache)));
      check({heads, heads == 6 || heads == 4 ? 2u : 1u, 32, cache, kRotatedKeys, true}, 1,
            {{{0, 130}}, {{0, 3}}, {{0, 1}}});
    }
}

// An int8 cache holds values beyond the range of f16: up to 127 times its f16 scale. The factors
// are powers of two, so the truth is scaled exactly.
TEST_P(Attention, values_of_an_i8_cache_beyond_f16) {
  const AttentionShape shape{2, 2, 64, DType::i8, kRotatedKeys, false};
  for (const uint32_t rows : {kMaxRows, kFewRows}) {
    Conversation conversation(shape, 1, kContext);
    const AttentionCase c(shape, conversation);
    const abi::ProgramShape program{rows, 1, 1, conversation.pages_per_sequence()};
    with_session(c.description, program, [&](Session& session) {
      for (const uint32_t count : {40u, 40u, 1u}) {
        Turn turn = conversation.next({{0, count}});
        for (float& q : turn.q) q *= 0x1p-16f;
        for (float& k : turn.k) k *= 0x1p16f;
        for (float& v : turn.v) v *= 0x1p20f;
        for (double& y : turn.truth) y *= 0x1p20;
        session.set(c.q, turn.q);
        session.set(c.k, turn.k);
        session.set(c.v, turn.v);
        session.run(turn.step);
        expect_close(ToleranceClass::attention, session.get(c.y), turn.truth);
      }
    });
  }
}

TEST_P(Attention, row_counts) {
  for (const uint32_t rows : kRowCounts) {
    SCOPED_TRACE(std::to_string(rows) + " rows");
    check({3, 3, 32, DType::f16, kRotatedKeys, false}, 1, {{{0, 240}}, {{0, rows}}});
  }
}

// Prompts, chunks of prompts and single tokens of several sequences in the same steps.
TEST_P(Attention, mixed_sequences) {
  for (const DType cache : {DType::f16, DType::i8})
    check({4, 2, 64, cache, kRotatedKeys, false}, 5,
          {{{0, 200}, {2, 40}},
           {{0, 100}, {1, 1}, {2, 1}},
           {{0, 1}, {1, 17}, {2, 1}, {3, 230}},
           {{0, 1}, {1, 1}, {2, 1}, {3, 1}},
           {{3, 30}, {4, 1}}});
}

// Pages of every size hold the same text; those of 64 tokens are in all other tests. The CPU's bits
// do not depend on the size.
TEST_P(Attention, page_sizes) {
  const bool is_cpu = GetParam().starts_with("cpu");
  std::vector<AttentionShape> shapes = {{4, 2, 64, DType::f16, kRotatedKeys, true, 150},
                                        {4, 2, 64, DType::i8, kRotatedKeys, false, 0, 2.5f}};
  if (is_cpu) shapes.push_back({2, 1, 80, DType::f16, KeyRotation::on_read, false});
  // Elsewhere a prompt takes seconds: an emulator and lavapipe run these.
  const uint32_t prompt = is_cpu ? 250 : 100;
  std::vector<std::vector<float>> smallest;
  for (const uint32_t page_tokens : abi::kPageSizes) {
    if (!is_cpu && page_tokens != 32 && page_tokens != 256) continue;
    SCOPED_TRACE("pages of " + std::to_string(page_tokens) + " tokens");
    outputs_.clear();
    for (AttentionShape& shape : shapes) {
      shape.page_tokens = page_tokens;
      check(shape, 2, {{{0, prompt}, {1, 3}}, {{0, 30}, {1, 1}}, {{0, 1}, {1, 1}}});
    }
    if (smallest.empty()) smallest = outputs_;
    if (is_cpu) {
      EXPECT_EQ(outputs_, smallest);
    }
  }
}

// NaN stays in its sequence: a request that fails must not affect others in its step.
TEST_P(Attention, nan_stays_in_its_sequence) {
  for (const AttentionShape& shape : {AttentionShape{4, 2, 64, DType::f16, kRotatedKeys, true},
                                      {2, 1, 128, DType::f16, kRotatedKeys, true},
                                      {4, 2, 64, DType::f32, kRotatedKeys, true}}) {
    for (const uint32_t rows : {kMaxRows, kFewRows}) {
      SCOPED_TRACE("a program of " + std::to_string(rows) + " rows");
      Conversation conversation(shape, 4, kContext);
      const AttentionCase c(shape, conversation);
      const abi::ProgramShape program{rows, 1, 4, conversation.pages_per_sequence()};
      with_session(c.description, program, [&](Session& session) {
        for (const std::vector<Part>& parts :
             {std::vector<Part>{{0, 13}, {1, 9}, {2, 21}}, {{0, 5}, {1, 3}, {2, 1}, {3, 1}}}) {
          Turn turn = conversation.next(parts);
          const auto spoil = [&](std::vector<float>& values) {
            const size_t width = values.size() / turn.step.sequence.size();
            for (size_t i = 0; i < values.size(); ++i)
              if (turn.step.sequence[i / width] == 1) values[i] = std::nanf("");
          };
          spoil(turn.k);
          spoil(turn.v);
          session.set(c.q, turn.q);
          session.set(c.k, turn.k);
          session.set(c.v, turn.v);
          session.run(turn.step);
          std::vector<float> sound;
          std::vector<double> truth;
          const std::vector<float> y = session.get(c.y);
          const size_t width = y.size() / turn.step.sequence.size();
          for (size_t i = 0; i < y.size(); ++i)
            if (turn.step.sequence[i / width] != 1) {
              sound.push_back(y[i]);
              truth.push_back(turn.truth[i]);
            }
          expect_close(ToleranceClass::attention, sound, truth);
        }
      });
    }
  }
}

// An infinite value behind the mask, of a later token or before the window, is not multiplied by 0.
TEST_P(Attention, infinity_behind_the_mask_stays_there) {
  if (!is_cpu(GetParam())) GTEST_SKIP() << "the CPU backend's alone";
  constexpr uint32_t spoiled = 7, count = 20, window = 5, width = 64;
  for (const DType cache : {DType::f16, DType::f32})
    for (const uint32_t heads : {2u, 1u}) {
      const AttentionShape shape{heads, 1, width, cache, kRotatedKeys, false, window};
      Conversation conversation(shape, 1, kContext);
      const AttentionCase c(shape, conversation);
      const abi::ProgramShape program{kMaxRows, 1, 1, conversation.pages_per_sequence()};
      with_session(c.description, program, [&](Session& session) {
        Turn turn = conversation.next({{0, count}});
        std::fill_n(turn.v.begin() + spoiled * width, width, INFINITY);
        session.set(c.q, turn.q);
        session.set(c.k, turn.k);
        session.set(c.v, turn.v);
        session.run(turn.step);
        std::vector<float> y = session.get(c.y);
        const size_t row = heads * width;
        const auto first = std::next(y.begin(), spoiled * row);
        const auto end = std::next(first, window * row);
        EXPECT_TRUE(std::none_of(first, end, [](float v) { return std::isfinite(v); }));
        y.erase(first, end);
        std::vector<double> truth = turn.truth;
        truth.erase(std::next(truth.begin(), spoiled * row),
                    std::next(truth.begin(), (spoiled + window) * row));
        expect_close(ToleranceClass::attention, y, truth);
      });
    }
}

// Many sequences of one token each: a batch of decodes.
TEST_P(Attention, batch_of_single_tokens) {
  std::vector<Part> first, then;
  for (uint32_t s = 0; s < 33; ++s) {
    if (s % 3) first.push_back({s, 1 + s % 11});
    then.push_back({s, 1});
  }
  check({2, 2, 32, DType::f16, kRotatedKeys, false}, 33, {first, then, then});
}

// torch 2 scaled_dot_product_attention in float64: 2 heads on one kv head, 3 keys, head_dim 4.
TEST_P(Attention, literal) {
  const AttentionShape shape{2, 1, 4, DType::f32, kRotatedKeys, false};
  const Conversation conversation(shape, 1, 1);
  const AttentionCase c(shape, conversation);
  with_session(c.description, {3, 3, 1, 1}, [&](Session& session) {
    StepData step = plain_step(3);
    session.set(c.q, std::vector<float>{0, 0, 0, 0, 0, 0, 0,  0,    0,     0, 0,     0,
                                        0, 0, 0, 0, 1, 0, -1, 0.5f, 0.25f, 2, -0.5f, 1});
    session.set(c.k, std::vector<float>{1, 2, 0, -1, 0, 1, 1, 0.5f, -1, 0, 2, 1});
    session.set(c.v, std::vector<float>{1, 0, 0, 2, 0, 1, 0, -2, 0, 0, 1, 4});
    session.run(step);
    const std::vector<float> y = session.get(c.y);
    expect_close(ToleranceClass::attention, std::span(y).last(8),
                 std::vector<double>{0.5687015374987321, 0.30440399736251744, 0.12689446513875036,
                                     1.0361729408274307, 0.5851253967012008, 0.3131950557010256,
                                     0.10167954759777374, 0.9505788723914453});
  });
}

// Rotating keys on read gives the same as rope before kv_append.
TEST_P(Attention, on_read_equals_rope_before_cache) {
  const AttentionShape read{4, 2, 64, DType::f32, KeyRotation::on_read, false};
  Conversation conversation(read, 2, kContext);
  const AttentionCase on_read(read, conversation);

  Case c;
  const std::vector<uint32_t> dims = {conversation.pages(), read.page_tokens, 2, 64};
  const uint32_t q = c.activation("q", {abi::kRows, 4, 64}),
                 k = c.activation("k", {abi::kRows, 2, 64});
  const uint32_t v = c.activation("v", {abi::kRows, 2, 64});
  const uint32_t q_rotated = c.activation("q rotated", {abi::kRows, 4, 64});
  const uint32_t k_rotated = c.activation("k rotated", {abi::kRows, 2, 64});
  const uint32_t keys = c.cache("keys", DType::f32, dims),
                 values = c.cache("values", DType::f32, dims);
  const uint32_t y = c.activation("y", {abi::kRows, 256});
  c.node(abi::Op::rope, {q}, {q_rotated}, abi::RopeParams{});
  c.node(abi::Op::rope, {k}, {k_rotated}, abi::RopeParams{});
  c.node(abi::Op::kv_append, {k_rotated, v, keys, values}, {}, {});
  c.node(abi::Op::attention, {q_rotated, keys, values}, {y},
         abi::AttentionParams{conversation.scale()});

  const abi::ProgramShape shape{kMaxRows, 1, 2, conversation.pages_per_sequence()};
  with_session(c, shape, [&](Session& left) {
    with_session(on_read.description, shape, [&](Session& right) {
      for (const std::vector<Part>& parts :
           {std::vector<Part>{{0, 200}, {1, 3}}, {{0, 80}, {1, 1}}, {{0, 1}, {1, 1}}}) {
        const Turn turn = conversation.next(parts);
        left.set(q, turn.q);
        left.set(k, turn.k);
        left.set(v, turn.v);
        right.set(on_read.q, turn.q);
        right.set(on_read.k, turn.k);
        right.set(on_read.v, turn.v);
        left.run(turn.step);
        right.run(turn.step);
        const std::vector<float> truth = left.get(y);
        expect_close(ToleranceClass::attention, right.get(on_read.y),
                     std::vector<double>(truth.begin(), truth.end()));
        expect_close(ToleranceClass::rope, left.get(q_rotated),
                     conversation.rotated(turn.step, turn.q));
      }
    });
  });
}

// On matrix cores: several sequences in a tile, a window, an order; then fewer rows and spans that
// end within a page.
class MatrixAttention : public Attention {};
TEST_P(MatrixAttention, sequences_and_window) {
  check_turns({4, 2, 64, DType::f16, kRotatedKeys, true, 45}, 2,
              {{{0, 37}, {1, 20}}, {{0, 30}, {1, 1}}, {{0, 1}, {1, 25}}}, 64);
}
TEST_P(MatrixAttention, i8_and_soft_cap) {
  check_turns({2, 1, 80, DType::i8, kRotatedKeys, false, 0, 2.5f}, 1,
              {{{0, 17}}, {{0, 1}}, {{0, 15}}}, 17);
}

// So many heads that Vulkan on a GPU has but two splits of the keys, and a split several spans.
class SplitAttention : public Attention {};
TEST_P(SplitAttention, several_spans) {
  check_turns({1024, 1, 8, DType::f16, kRotatedKeys, false}, 1, {{{0, 140}}, {{0, 1}}, {{0, 1}}},
              140);
}

std::vector<std::string> devices_with_splits() {
  std::vector<std::string> names = device_names();
  std::erase_if(names, [](const std::string& name) { return !name.starts_with("vulkan_gpu"); });
  return names;
}

RW_ON_EVERY_DEVICE(Attention);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(SplitAttention);
INSTANTIATE_TEST_SUITE_P(Ops, SplitAttention, testing::ValuesIn(devices_with_splits()), device_of);
RW_ON_SLOW_DEVICE(MatrixAttention, "vulkan_gpu_matrix");

}  // namespace
}  // namespace ropewalk::test
