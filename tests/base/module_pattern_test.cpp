// Keys of rank_pattern as Python's re reads `(.*\.)?(KEY)$` (checked with re.match).
#include "core/base/module_pattern.h"

#include <gtest/gtest.h>

#include "tests/cpu_time.h"

namespace ropewalk::test {
namespace {

constexpr std::string_view kQ = "model.layers.0.self_attn.q_proj";

bool matches(std::string_view key, std::string_view module) {
  const auto pattern = ModulePattern::parse(key);
  return pattern && pattern->matches(module);
}

TEST(ModulePattern, MatchesTheEndOfAName) {
  EXPECT_TRUE(matches("q_proj", kQ));
  EXPECT_TRUE(matches("self_attn.q_proj", kQ));
  EXPECT_TRUE(matches(kQ, kQ));
  EXPECT_FALSE(matches("_proj", kQ));
  EXPECT_FALSE(matches("q", kQ));
  EXPECT_FALSE(matches("k_proj", kQ));
  EXPECT_FALSE(matches("self_attn", kQ));
}

TEST(ModulePattern, TakesDotsAndRuns) {
  EXPECT_TRUE(matches("layers.0.*q_proj", kQ));
  EXPECT_FALSE(matches("layers.1.*q_proj", kQ));
  EXPECT_TRUE(matches("layers.0.*", kQ));
  EXPECT_TRUE(matches(".*attn.*", kQ));
  EXPECT_TRUE(matches(R"(layers\.0\.self_attn\.q_proj)", kQ));
  EXPECT_TRUE(matches("q.proj", kQ)) << "a dot is any character";
  EXPECT_FALSE(matches(R"(q\.proj)", kQ));
  EXPECT_TRUE(matches("layers.1.*", "model.layers.11.mlp.up_proj"))
      << "as a regular expression does";
  EXPECT_FALSE(matches(R"(layers\.1\..*)", "model.layers.11.mlp.up_proj"));
}

TEST(ModulePattern, AnchorsTheWholeName) {
  EXPECT_TRUE(matches("^model.layers.0.*", kQ));
  EXPECT_FALSE(matches("^q_proj", kQ));
  EXPECT_TRUE(matches("q_proj$", kQ));
}

TEST(ModulePattern, RefusesMore) {
  for (const char* key :
       {"", "^", "q|k", "(q)", "[qk]_proj", "q+", "q?", "*", "a*", R"(\d)", "{1}", "q/k"})
    EXPECT_FALSE(ModulePattern::parse(key)) << key;
}

TEST(ModulePattern, TakesBoundedTime) {
  std::string key, module(1000, 'a');
  for (int i = 0; i < 300; ++i) key += "a.*";
  key += "b";
  const double start = cpu_seconds();
  EXPECT_FALSE(matches(key, module));
  EXPECT_LT(cpu_seconds() - start, 1);
}

}  // namespace
}  // namespace ropewalk::test
