#include "core/config/nearest.h"

#include <gtest/gtest.h>

#include <vector>

namespace ropewalk::test {
namespace {

const std::vector<std::string> kNames = {"temperature", "top-k", "top-p", "min-p"};

TEST(Nearest, FindsATypingError) {
  EXPECT_EQ(nearest("temprature", kNames), "temperature");
  EXPECT_EQ(nearest("tempreature", kNames), "temperature");
  EXPECT_EQ(nearest("top-q", kNames), "top-k") << "ties go to the first";
  EXPECT_EQ(nearest("topk", kNames), "top-k");
  EXPECT_EQ(nearest("mirostat", kNames), "");
  EXPECT_EQ(nearest("", kNames), "");
  EXPECT_EQ(nearest(std::string(100000, 'x'), kNames), "");
}

TEST(Nearest, FindsWhatItBegins) {
  const std::vector<std::string> names = {"raw", "vicuna-v1.1", "llama-2-chat"};
  EXPECT_EQ(nearest("vicuna", names), "vicuna-v1.1");
  EXPECT_EQ(nearest("ll", names), "");
  // Not llama-3, which has fewer edits.
  EXPECT_EQ(nearest("llama2", std::vector<std::string>{"llama-3", "llama-2-chat"}), "llama-2-chat");
  EXPECT_EQ(nearest("CPU", std::vector<std::string>{"cuda", "cpu"}), "cpu");
}

TEST(Nearest, CountsASwapAsOneEdit) {
  EXPECT_EQ(nearest("ba", std::vector<std::string>{"cdx", "ab"}), "ab");
  EXPECT_EQ(nearest("abcd", std::vector<std::string>{"xbyd", "abdc"}), "abdc");
}

TEST(Suggestion, IsTheNearestOrAll) {
  EXPECT_EQ(suggestion("topk", kNames), "Did you mean top-k");
  EXPECT_EQ(suggestion("beam", kNames), "Known are temperature, top-k, top-p, min-p");
  EXPECT_EQ(suggestion("beam", {}), "");
}

}  // namespace
}  // namespace ropewalk::test
