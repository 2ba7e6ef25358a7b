#include "core/eval/windows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ropewalk::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

MATCHER_P3(Cut, begin, length, scored, "") {
  return arg.begin == static_cast<uint64_t>(begin) && arg.length == static_cast<uint32_t>(length) &&
         arg.scored == static_cast<uint32_t>(scored);
}

WindowSettings settings(Protocol protocol, uint32_t length) {
  WindowSettings settings;
  settings.protocol = protocol;
  settings.length = length;
  return settings;
}

TEST(Windows, ChunksAreDisjointAndTheShortRestIsLeftOut) {
  EXPECT_THAT(cut_windows(settings(Protocol::chunk, 4), 11),
              ElementsAre(Cut(0, 4, 1), Cut(4, 4, 1)));
  EXPECT_THAT(cut_windows(settings(Protocol::chunk, 4), 3), IsEmpty());
}

// Hugging Face's loop with max_length 6, stride 2 over 11 tokens: begins 0 2 4 6, ends 6 8 10 11,
// targets 6 2 2 1; the text's first token has no prediction.
TEST(Windows, StridesScoreEachTokenOnce) {
  WindowSettings strided = settings(Protocol::hf_stride, 6);
  strided.stride = 2;
  EXPECT_THAT(cut_windows(strided, 11),
              ElementsAre(Cut(0, 6, 1), Cut(2, 6, 4), Cut(4, 6, 4), Cut(6, 5, 4)));
  strided.stride = 6;
  EXPECT_THAT(cut_windows(strided, 12), ElementsAre(Cut(0, 6, 1), Cut(6, 6, 1)));
}

TEST(Windows, EveryTokenOfATextButTheFirstIsScoredByStridesExactlyOnce) {
  for (const uint32_t stride : {1u, 3u, 7u, 8u}) {
    WindowSettings strided = settings(Protocol::hf_stride, 8);
    strided.stride = stride;
    std::vector<int> times(100, 0);
    for (const Window& window : cut_windows(strided, 100)) {
      for (uint32_t i = window.scored; i < window.length; ++i) ++times[window.begin + i];
    }
    EXPECT_EQ(times[0], 0);
    if (stride == 8) continue;  // disjoint: each window's first token is context
    for (size_t i = 1; i < 100; ++i)
      EXPECT_EQ(times[i], 1) << "token " << i << ", stride " << stride;
  }
}

// llama.cpp scores n_ctx - n_ctx/2 - 1 tokens of each chunk and asks for two chunks at least.
TEST(Windows, LlamaCppScoresTheSecondHalf) {
  const auto windows = cut_windows(settings(Protocol::llamacpp, 512), 1100);
  EXPECT_THAT(windows, ElementsAre(Cut(0, 512, 257), Cut(512, 512, 257)));
  EXPECT_EQ(windows[0].length - windows[0].scored, 512u - 256 - 1);
  EXPECT_TRUE(windows[0].bos);
  EXPECT_THAT(cut_windows(settings(Protocol::llamacpp, 512), 1023), IsEmpty());
}

TEST(Windows, TheLastPositionsAlone) {
  WindowSettings last = settings(Protocol::chunk, 8);
  last.last = 3;
  EXPECT_THAT(cut_windows(last, 8), ElementsAre(Cut(0, 8, 5)));
  last.last = 100;
  EXPECT_THAT(cut_windows(last, 8), ElementsAre(Cut(0, 8, 1)));
}

TEST(Windows, ProtocolsHaveNames) {
  for (const char* name : {"chunk", "hf-stride", "llamacpp", "jsonl"}) {
    ASSERT_TRUE(protocol_named(name)) << name;
    EXPECT_EQ(protocol_name(*protocol_named(name)), name);
  }
  EXPECT_FALSE(protocol_named("chunks"));
}

}  // namespace
}  // namespace ropewalk::test
