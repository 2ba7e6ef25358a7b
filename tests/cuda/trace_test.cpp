// Ranges for profilers: what is launched shows under the names of the graph's nodes, when a program
// is recorded and when it runs eagerly.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <span>

#include "core/eval/score.h"
#include "tests/cuda/cuda_model.h"

namespace ropewalk::test {
namespace {

using testing::Contains;

// Lines of the listener's file since `from`.
std::vector<std::string> lines_since(const std::filesystem::path& file, size_t from) {
  std::ifstream text(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return {lines.begin() + static_cast<ptrdiff_t>(std::min(from, lines.size())), lines.end()};
}

size_t count(const std::vector<std::string>& lines, const std::string& start) {
  return static_cast<size_t>(std::ranges::count_if(
      lines, [&](const std::string& line) { return line.starts_with(start); }));
}

// Lines of layer 0 in the step that came last.
std::vector<std::string> first_layer(const std::vector<std::string>& lines) {
  const auto begin =
      std::ranges::find_end(lines, std::array{"push model.layers.0.input_layernorm"});
  const auto end =
      std::ranges::find(begin.begin(), lines.end(), "push model.layers.1.input_layernorm");
  return {begin.begin(), end};
}

// One test, since a process has one listener.
TEST(CudaTrace, StepsAreNamed) {
  if (test_backend() != "emulated") GTEST_SKIP() << "listens to the emulator alone";
  const std::filesystem::path file = std::filesystem::path(testing::TempDir()) / "cuda_trace.txt";
  setenv("NVTX_INJECTION64_PATH", RW_TRACE_LISTENER, 1);
  setenv("TRACE_TO", file.c_str(), 1);
  const auto ids = ids_of(kActOrderFixture);
  for (const char* capture : {"true", "false"}) {
    SCOPED_TRACE(capture);
    Config config = cuda_config(kActOrderFixture);
    set_option(config, "capture", capture);
    FixtureModel model(kActOrderFixture, fixture_settings(config));
    score(model.runtime, ids, nullptr);
    const size_t once = lines_since(file, 0).size();
    score(model.runtime, ids, nullptr);
    const std::vector<std::string> all = lines_since(file, 0), again = lines_since(file, once);
    EXPECT_THAT(all, Contains("push model.embed_tokens"));
    EXPECT_THAT(all, Contains("push model.layers.0.self_attn.q_proj and 5 more"));
    EXPECT_THAT(all, Contains("push model.layers.1.mlp.gate_proj and 2 more"));
    EXPECT_THAT(all, Contains("push model.layers.1.mlp.down_proj and 1 more"));
    EXPECT_THAT(all, Contains("push lm_head"));
    EXPECT_EQ(count(all, "pop"), count(all, "push "));
    // A recording is replayed without the host.
    EXPECT_EQ(again.empty(), std::string(capture) == "true");

    // Up to 8 rows: norm, q k v, attention, combine, o, norm, gate up, down. Nothing prepares x.
    score(model.runtime, std::span(ids).first(4), nullptr);
    EXPECT_EQ(count(first_layer(lines_since(file, 0)), "mark launch"), 8u);
    // One row: q k v, attention, o, gate up, down. The products compute the norms and the order.
    Sequence sequence(model.runtime.cache());
    model.runtime.executor().run_one({&sequence, std::span(ids).first(1), Wanted::last, 1});
    EXPECT_EQ(count(first_layer(lines_since(file, 0)), "mark launch"), 5u);
  }
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace ropewalk::test
