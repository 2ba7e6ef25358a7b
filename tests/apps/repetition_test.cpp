// docs/repetition.md: loops that greedy decoding never leaves, and what breaks which of them.
#include <gmock/gmock.h>

#include <algorithm>

#include "tests/apps/program.h"

namespace ropewalk::test {
namespace {

constexpr size_t kTokens = 400, kLooked = 64, kLongest = 16;

constexpr char kRow[] = "row, row, row your boat";
constexpr char kRope[] = "rope rope rope rope rope rope";

// Whether the reply to `prompt` does not end and comes to a few tokens over and over.
bool loops(const std::string& prompt, const std::string& sampling) {
  const Outcome outcome = run_program(
      {"run", RW_SOURCE_DIR "/configs/cpu.yaml", "--set", "prompt.format=raw", "--max-new-tokens",
       std::to_string(kTokens), "--prompt", prompt, "--set", "sampling=" + sampling, "--json"},
      "");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  const std::vector<int32_t> ids = outcome.json()["ids"];
  if (ids.size() < kTokens) return false;
  const std::vector<int32_t> tail(ids.end() - kLooked, ids.end());
  for (size_t period = 1; period <= kLongest; ++period)
    if (std::equal(tail.begin() + static_cast<ptrdiff_t>(period), tail.end(), tail.begin()))
      return true;
  return false;
}

TEST(Repetition, IsBrokenByThePenaltyAndByDry) {
  EXPECT_TRUE(loops(kRow, "[]")) << "docs/repetition.md needs another prompt";
  EXPECT_FALSE(loops(kRow, "[{repetition-penalty: {penalty: 1.15, range: 1024}}, greedy]"));
  EXPECT_FALSE(loops(kRow, "[dry, greedy]"));
}

// The loop has 10 tokens.
TEST(Repetition, IsNotSeenThroughAWindowShorterThanTheLoop) {
  EXPECT_TRUE(loops(kRow, "[{repetition-penalty: {penalty: 1.15, range: 8}}, greedy]"));
}

TEST(Repetition, OfAPromptThatLoopsAlreadyTakesDry) {
  EXPECT_TRUE(loops(kRope, "[{repetition-penalty: {penalty: 1.15, range: 1024}}, greedy]"));
  EXPECT_FALSE(loops(kRope, "[dry, greedy]"));
}

}  // namespace
}  // namespace ropewalk::test
