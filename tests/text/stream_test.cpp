#include "core/text/stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "core/base/utf8.h"
#include "core/text/tokenizer.h"
#include "tests/cpu_time.h"

namespace ropewalk::test {
namespace {

TokenText plain(std::string_view bytes) { return {.bytes = bytes, .spaced = false}; }

// What each push returned, and last what finish() returned, joined by '|'.
std::string streamed(const std::vector<std::string>& tokens,
                     const std::vector<std::string>& stops) {
  TextStream stream(stops, LeadingSpace::keep);
  std::string out;
  for (const std::string& token : tokens) out += stream.push(plain(token)) + "|";
  return out + stream.finish();
}

TEST(TextStream, HoldsACharacterUntilItIsWhole) {
  EXPECT_EQ(streamed({"a\xf0", "\x9f", "\x98", "\x80z"}, {}), "a|||\xf0\x9f\x98\x80z|");
  EXPECT_EQ(streamed({"\xc3", "\xa9"}, {}), "|\xc3\xa9|");
}

TEST(TextStream, WhatFormsNoCharacterBecomesAReplacementPerByte) {
  EXPECT_EQ(streamed({"\xff", "a"}, {}), "\xef\xbf\xbd|a|");
  EXPECT_EQ(streamed({"\xe3\x81", "a"}, {}),
            "|\xef\xbf\xbd\xef\xbf\xbd"
            "a|");
  EXPECT_EQ(streamed({"a\xe3\x81"}, {}), "a|\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(streamed({"\xf4\x90"}, {}), "\xef\xbf\xbd\xef\xbf\xbd|");  // above U+10FFFF
  EXPECT_EQ(streamed({"\xed", "\xa0", "\x80"}, {}), "|\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd|");
}

TEST(TextStream, HoldsBackWhatMayBecomeAStop) {
  EXPECT_EQ(streamed({"hi U", "SE", "LESS"}, {"USER:"}), "hi ||USELESS|");
  EXPECT_EQ(streamed({"hi U", "SER", ": x", "y"}, {"USER:"}), "hi ||||");
  EXPECT_EQ(streamed({"hi USE"}, {"USER:"}), "hi |USE");
  EXPECT_EQ(streamed({"aab"}, {"ab"}), "a|");
  EXPECT_EQ(streamed({"a", "a", "a", "b"}, {"aab"}), "||a||");
}

// A reply must not run on because a longer stop might still come.
TEST(TextStream, TheStopThatIsCompleteFirstWins) {
  EXPECT_EQ(streamed({"hi US", "ER", ": hix"}, {"USER: hix", "ER"}), "hi |US||");
  EXPECT_EQ(streamed({"xab", "cd"}, {"bc", "abcd"}), "x|a|");
  EXPECT_EQ(streamed({"xabc"}, {"bc", "abcd"}), "xa|");
  EXPECT_EQ(streamed({"xabc"}, {"bc", "abc"}), "x|");  // both end there: the longest
}

TEST(TextStream, NamesTheStop) {
  TextStream stream({"USER:", "\n\n"}, LeadingSpace::keep);
  EXPECT_EQ(stream.push(plain("a\n")), "a");
  EXPECT_FALSE(stream.stopped_by());
  EXPECT_EQ(stream.push(plain("\nUSER:")), "");
  EXPECT_EQ(stream.stopped_by(), "\n\n");
  EXPECT_EQ(stream.push(plain("more")), "");
  EXPECT_EQ(stream.finish(), "");
}

TEST(TextStream, StripsOneSpaceOfTheTokenizersOwn) {
  TextStream strip({}, LeadingSpace::strip);
  EXPECT_EQ(strip.push(plain("")), "");  // a special token does not count
  EXPECT_EQ(strip.push({.bytes = " Blue", .spaced = true}), "Blue");
  EXPECT_EQ(strip.push({.bytes = " berries", .spaced = true}), " berries");
  TextStream byte({}, LeadingSpace::strip);
  EXPECT_EQ(byte.push(plain(" x")), " x");  // a space that the model spelt as a byte
  TextStream keep({}, LeadingSpace::keep);
  EXPECT_EQ(keep.push({.bytes = " Blue", .spaced = true}), " Blue");
}

// By the stop that ends first, as its first occurrence does; of those that end there, the longest.
std::string cut_at_first(const std::string& text, const std::vector<std::string>& stops) {
  size_t end = std::string::npos, start = text.size();
  for (const std::string& stop : stops) {
    const size_t at = text.find(stop);
    if (at == std::string::npos || at + stop.size() > end) continue;
    start = at + stop.size() < end ? at : std::min(start, at);
    end = at + stop.size();
  }
  return text.substr(0, start);
}

class RandomIds : public testing::Test {
 protected:
  Tokenizer tokenizer_ = Tokenizer::open(RW_SOURCE_DIR "/models/airophin-mini", {});
  std::mt19937 random_{20230815};

  std::vector<int32_t> ids() {
    std::vector<int32_t> drawn(random_() % 40);
    // Half of them bytes, so that characters begin, break off and continue.
    for (int32_t& id : drawn)
      id = static_cast<int32_t>(random_() % 2 ? random_() % 259 : random_() % 1030);
    return drawn;
  }
};

TEST_F(RandomIds, TheStreamIsTheDecodedTextCutAtTheFirstStop) {
  int stopped = 0;
  for (int round = 0; round < 5000; ++round) {
    const std::vector<int32_t> drawn = ids();
    const std::string whole = tokenizer_.decode(drawn);
    std::vector<std::string> stops;
    for (size_t i = random_() % 4; i > 0 && !whole.empty(); --i) {
      std::string stop = whole.substr(random_() % whole.size(), 1 + random_() % 6);
      if (utf8_first_error(stop) == std::string::npos) stops.push_back(stop + (i == 3 ? "q" : ""));
    }
    TextStream stream(stops, LeadingSpace::strip);
    std::string text;
    for (const int32_t id : drawn) {
      const std::string part = stream.push(tokenizer_.text_of(id));
      EXPECT_EQ(utf8_first_error(part), std::string::npos);
      text += part;
    }
    text += stream.finish();
    ASSERT_EQ(text, cut_at_first(whole, stops)) << round;
    ASSERT_EQ(stream.stopped_by().has_value(), text != whole);
    stopped += stream.stopped_by().has_value();
  }
  EXPECT_GT(stopped, 1000);
}

// decode(prompt + reply) is the prompt's text with the streamed text behind it.
TEST_F(RandomIds, ACompletionContinuesItsPrompt) {
  const std::vector<int32_t> prompt = tokenizer_.encode_text("The source", SpecialTokens::as_text);
  for (int round = 0; round < 1000; ++round) {
    const std::vector<int32_t> reply = ids();
    std::vector<int32_t> both = prompt;
    both.insert(both.end(), reply.begin(), reply.end());
    TextStream stream({}, LeadingSpace::keep);
    std::string text = "The source";
    for (const int32_t id : reply) text += stream.push(tokenizer_.text_of(id));
    ASSERT_EQ(text + stream.finish(), tokenizer_.decode(both));
  }
}

TEST(StopMatcher, AThousandLongStopsAreFast) {
  std::vector<std::string> stops;
  for (int i = 0; i < 1000; ++i) stops.push_back(std::string(10'000, 'a') + std::to_string(i));
  const double start = cpu_seconds();
  TextStream stream(std::move(stops), LeadingSpace::keep);
  std::string text;
  for (int i = 0; i < 5000; ++i) text += stream.push(plain(i % 1000 == 0 ? "b" : "aaa"));
  text += stream.finish();
  EXPECT_EQ(text.size(), 5u + 4995u * 3u);
  EXPECT_LT(cpu_seconds() - start, 10);
}

}  // namespace
}  // namespace ropewalk::test
