// The rules of core/abi/graph.h for a step.
#include "core/graph/check_step.h"

#include <gtest/gtest.h>

#include <functional>
#include <stdexcept>
#include <vector>

namespace ropewalk::test {
namespace {

// Two rows of sequence 1 behind its first page, then one of sequence 0.
struct GoodStep {
  std::vector<int32_t> token = {9, 0, 3};
  std::vector<uint32_t> position = {255, 256, 7};
  std::vector<uint32_t> sequence = {1, 1, 0};
  std::vector<uint32_t> length = {8, 257, 0};          // sequence 2 has no row
  std::vector<uint32_t> page = {4, 99, 2, 0, 99, 99};  // (3, 2); 99 is behind the last position
  std::vector<uint32_t> wanted = {1, 2};
  std::vector<float> inv_freq = std::vector<float>(3 * 3);
  std::vector<uint32_t> adapter = {0, abi::kNoAdapter, 3};
  uint32_t prompt_rows = 2;
  abi::ProgramShape shape{4, 2, 3, 2};
  StepLimits limits{10, 5, 256, 3, 4};

  std::string complaint() const {
    const abi::Step step{3,      prompt_rows, 3,      token,    position, sequence,
                         length, page,        wanted, inv_freq, adapter};
    try {
      check_step(step, shape, limits);
      return "";
    } catch (const std::logic_error& error) {
      return error.what();
    }
  }
};

struct BadStep {
  const char* name;
  std::function<void(GoodStep&)> spoil;
  const char* message;
};

const BadStep kBadSteps[] = {
    {"rows", [](GoodStep& s) { s.shape.rows = 2; },
     "step: it is larger than the program was compiled for"},
    {"sequences", [](GoodStep& s) { s.shape.sequences = 2; },
     "step: it is larger than the program was compiled for"},
    {"wanted_rows", [](GoodStep& s) { s.shape.wanted = 1; },
     "step: it is larger than the program was compiled for"},
    {"prompt_rows", [](GoodStep& s) { s.prompt_rows = 4; },
     "step: it has more rows of prompts than rows"},
    {"a_prompt_behind_other_rows", [](GoodStep& s) { s.prompt_rows = 0; },
     "step: row 0 has neighbours of its sequence, but stands behind the rows of prompts"},
    {"a_prompt_counted_in_part", [](GoodStep& s) { s.prompt_rows = 1; },
     "step: row 1 has neighbours of its sequence, but stands behind the rows of prompts"},
    {"a_single_row_among_prompts", [](GoodStep& s) { s.prompt_rows = 3; },
     "step: row 2 has a sequence for itself, but stands among the rows of prompts"},
    {"tokens", [](GoodStep& s) { s.token.pop_back(); },
     "step: it has fewer tokens, positions or sequence numbers than rows"},
    {"positions", [](GoodStep& s) { s.position.pop_back(); },
     "step: it has fewer tokens, positions or sequence numbers than rows"},
    {"sequence_numbers", [](GoodStep& s) { s.sequence.pop_back(); },
     "step: it has fewer tokens, positions or sequence numbers than rows"},
    {"lengths", [](GoodStep& s) { s.length.pop_back(); },
     "step: it has fewer lengths than sequences"},
    {"page_table", [](GoodStep& s) { s.page.pop_back(); },
     "step: its page table is shorter than its sequences"},
    {"rope_tables", [](GoodStep& s) { s.inv_freq.pop_back(); },
     "step: its RoPE tables are shorter than its sequences"},
    {"adapters", [](GoodStep& s) { s.adapter.pop_back(); },
     "step: it has adapters for another number of sequences"},
    {"adapters_without_need", [](GoodStep& s) { s.limits.slots = 0; },
     "step: it has adapters for another number of sequences"},
    {"absent_slot", [](GoodStep& s) { s.adapter[2] = 4; },
     "step: sequence 2 has an adapter's slot that is not there"},
    {"large_token", [](GoodStep& s) { s.token[1] = 10; },
     "step: row 1 has a token outside the vocabulary"},
    {"negative_token", [](GoodStep& s) { s.token[2] = -1; },
     "step: row 2 has a token outside the vocabulary"},
    {"absent_sequence", [](GoodStep& s) { s.sequence[2] = 3; },
     "step: row 2 has a sequence that is not there"},
    {"far_position", [](GoodStep& s) { s.position[1] = 512; },
     "step: row 1 has a position beyond the page table"},
    {"order", [](GoodStep& s) { s.position[1] = 255; },
     "step: row 0 has a position not before the next"},
    {"length_of_a_sequence_with_rows", [](GoodStep& s) { s.length[1] = 256; },
     "step: row 1 has a last position that is not its sequence's length - 1"},
    {"length_of_a_sequence_without_rows", [](GoodStep& s) { s.length[2] = 513; },
     "step: sequence 2 has a length beyond the page table"},
    {"absent_page", [](GoodStep& s) { s.page[2] = 5; },
     "step: row 1 has a page that the cache does not have"},
    {"absent_wanted_row", [](GoodStep& s) { s.wanted[1] = 3; },
     "step: wanted row 1 has a number beyond the step's rows"},
    {"order_of_wanted_rows", [](GoodStep& s) { s.wanted[0] = 2; },
     "step: wanted row 1 has a number not after the one before it"},
};

TEST(CheckStep, TakesPromptsAndSingleTokens) { EXPECT_EQ(GoodStep().complaint(), ""); }

TEST(CheckStep, NamesTheRowAndTheRule) {
  for (const BadStep& bad : kBadSteps) {
    GoodStep step;
    bad.spoil(step);
    EXPECT_EQ(step.complaint(), bad.message) << bad.name;
  }
}

TEST(CheckStep, LimitsAreThoseOfTheGraph) {
  const abi::Tensor tensors[] = {
      {"table", abi::TensorKind::weight, abi::DType::f16, 0, 2, 0, {300, 8}, {}},
      {"x", abi::TensorKind::scratch, abi::DType::f32, 0, 3, 0, {abi::kRows, 2, 6}, {}},
      {"keys", abi::TensorKind::cache, abi::DType::f16, 0, 4, 0, {7, 128, 1, 6}, {}},
      {"ranks", abi::TensorKind::adapter, abi::DType::i32, 0, 1, 0, {5}, {}},
  };
  const uint32_t table[] = {0}, x[] = {1};
  const abi::Node nodes[] = {{"embed", abi::Op::embed, table, x},
                             {"rope", abi::Op::rope, x, x, abi::RopeParams{}}};
  const StepLimits limits = step_limits({nodes, tensors, {}});
  EXPECT_EQ(limits.tokens, 300u);
  EXPECT_EQ(limits.pages, 7u);
  EXPECT_EQ(limits.page_tokens, 128u);
  EXPECT_EQ(limits.slots, 5u);
  EXPECT_EQ(limits.rope_pairs, 3u);
  const abi::Node second[] = {{"rope", abi::Op::rope, x, x, abi::RopeParams{.table = 1}}};
  EXPECT_EQ(step_limits({second, tensors, {}}).rope_pairs, 6u);
}

}  // namespace
}  // namespace ropewalk::test
