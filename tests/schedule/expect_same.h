// expect_same.h — a request has said what it says alone, to the bit; and what the tests of a batch
// begin with.
#pragma once

#include <gtest/gtest.h>

#include "tests/schedule/rig.h"

namespace ropewalk::test {

inline void expect_same(const Heard& heard, const Heard& want) {
  ASSERT_TRUE(heard.end.has_value());
  EXPECT_EQ(heard.end->cause, EndCause::none);
  EXPECT_EQ(heard.end->finish, want.end->finish);
  EXPECT_EQ(heard.ids, want.ids);
  EXPECT_EQ(heard.text, want.text);
  EXPECT_EQ(heard.logprobs, want.logprobs);
  EXPECT_EQ(heard.tops, want.tops);
  EXPECT_EQ(heard.prompt_logprobs, want.prompt_logprobs);
}

inline TinyModel& tiny() {
  static TinyModel tiny({64, 16, 8, 16});
  return tiny;
}

inline ScheduleSettings settings() { return {}; }

// A request whose reply has `tokens` tokens: no end id comes before.
inline Request long_request(uint32_t prompt_tokens, uint32_t tokens, uint32_t which = 1) {
  for (uint32_t seed = 0;; ++seed) {
    const Request asked = request(prompt(prompt_tokens, which), tokens, seed);
    if (alone(asked, 4096).ids.size() == tokens) return asked;
  }
}

}  // namespace ropewalk::test
