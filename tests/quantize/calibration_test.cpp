#include "core/quantize/calibration.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "tests/error_of.h"

namespace ropewalk::test {
namespace {

using namespace quantize;
using ::testing::HasSubstr;

// `count` documents of `length` tokens, every token different.
std::vector<std::vector<int32_t>> documents(int count, int length) {
  std::vector<std::vector<int32_t>> out;
  int32_t id = 10;
  for (int i = 0; i < count; ++i) {
    out.emplace_back();
    for (int k = 0; k < length; ++k) out.back().push_back(id++);
  }
  return out;
}

TEST(Calibration, CutsWindowsOfExactlyTheLength) {
  CalibrationSettings settings;
  settings.windows = {{100, 5}, {300, 2}};
  settings.bos = 1;
  const Calibration made = make_calibration(documents(40, 50), settings);
  ASSERT_EQ(made.windows.size(), 7u);
  std::set<int32_t> seen;
  for (size_t i = 0; i < made.windows.size(); ++i) {
    EXPECT_EQ(made.windows[i].size(), i < 5 ? 100u : 300u);
    EXPECT_EQ(made.windows[i].front(), 1);
    for (size_t k = 1; k < made.windows[i].size(); ++k)
      if (made.windows[i][k] != settings.eos) {
        EXPECT_TRUE(seen.insert(made.windows[i][k]).second) << "a token is used once";
      }
  }
  EXPECT_EQ(made.tokens, 1100u);
  EXPECT_EQ(made.asked, 1100u);
}

TEST(Calibration, JoinsDocumentsByTheEndToken) {
  CalibrationSettings settings;
  settings.windows = {{600, 1}};
  const std::vector<int32_t> window = make_calibration(documents(12, 50), settings).windows.at(0);
  EXPECT_EQ(std::ranges::count(window, settings.eos), 11);
  for (size_t i = 50; i < window.size(); i += 51) EXPECT_EQ(window[i], settings.eos);
}

TEST(Calibration, ShufflesByTheSeed) {
  CalibrationSettings settings;
  settings.windows = {{1000, 1}};
  const auto first = [&](uint64_t seed) {
    settings.seed = seed;
    return make_calibration(documents(40, 50), settings).windows.at(0);
  };
  EXPECT_EQ(first(0), first(0));
  EXPECT_NE(first(0), first(1));
}

TEST(Calibration, TakesWhatThereIs) {
  CalibrationSettings settings;
  settings.windows = {{300, 10}};
  const Calibration few = make_calibration(documents(1, 1000), settings);
  EXPECT_EQ(few.windows.size(), 3u);
  EXPECT_EQ(few.asked, 3000u);
  settings.windows = {{2048, 1}};
  settings.bos = 1;
  const Calibration alone = make_calibration(documents(1, 1000), settings);
  ASSERT_EQ(alone.windows.size(), 1u);
  EXPECT_EQ(alone.windows[0].size(), 1001u) << "nothing is padded";
}

TEST(Calibration, TakesTheLastTokenToo) {
  CalibrationSettings settings;
  settings.windows = {{300, 10}};
  settings.bos = 1;
  EXPECT_EQ(make_calibration(documents(1, 3 * 299), settings).windows.size(), 3u);
  EXPECT_EQ(make_calibration(documents(1, 3 * 299 - 1), settings).windows.size(), 2u);
}

TEST(Calibration, RefusesTooLittle) {
  expect_error(ExitCode::limit, HasSubstr("holds 511 tokens, expected at least 512"),
               [] { make_calibration(documents(1, 511), CalibrationSettings{}); });
  EXPECT_NO_THROW(make_calibration(documents(1, 512), CalibrationSettings{}));
}

}  // namespace
}  // namespace ropewalk::test
