// docs/repetition.md: a loop that greedy decoding never leaves, and the two samplers that break it.
#include <gmock/gmock.h>

#include "tests/apps/program.h"

namespace ropewalk::test {
namespace {

constexpr size_t kTokens = 160, kLooked = 64, kLongest = 16;

std::vector<int32_t> reply(const std::string& prompt, const std::string& sampling) {
  const Outcome outcome = run_program(
      {"run", RW_SOURCE_DIR "/configs/cpu.yaml", "--set", "prompt.format=raw", "--max-new-tokens",
       std::to_string(kTokens), "--prompt", prompt, "--set", "sampling=" + sampling, "--json"},
      "");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return outcome.json()["ids"];
}

// Whether the reply was not ended and its last tokens are at most kLongest over and over.
bool loops(const std::vector<int32_t>& ids) {
  if (ids.size() < kTokens) return false;
  const std::vector<int32_t> tail(ids.end() - kLooked, ids.end());
  for (size_t period = 1; period <= kLongest; ++period)
    if (std::equal(tail.begin() + static_cast<ptrdiff_t>(period), tail.end(), tail.begin()))
      return true;
  return false;
}

TEST(Repetition, IsBrokenByThePenaltyAndByDry) {
  const std::string prompt = "Once upon a time";
  EXPECT_TRUE(loops(reply(prompt, "[]"))) << "docs/repetition.md needs another prompt";
  EXPECT_FALSE(
      loops(reply(prompt, "[{repetition-penalty: {penalty: 1.15, range: 1024}}, greedy]")));
  EXPECT_FALSE(loops(reply(prompt, "[dry, greedy]")));
}

}  // namespace
}  // namespace ropewalk::test
