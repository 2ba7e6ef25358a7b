// docs/long-context: the shipped relatives still give the documented figures, with the command that
// models/long-context/README.md names.
#include <gtest/gtest.h>

#include <sstream>

#include "tests/apps/program.h"

namespace ropewalk::test {
namespace {

// The first line of a CSV that begins so, as its cells.
std::vector<std::string> cells_of(const std::string& csv, const std::string& beginning) {
  std::istringstream lines(csv);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(beginning)) continue;
    std::vector<std::string> cells;
    std::istringstream words(line);
    for (std::string cell; std::getline(words, cell, ',');) cells.push_back(cell);
    return cells;
  }
  return {};
}

TEST(LongContextDocument, SaysWhatTheRelativesGive) {
  const std::string root = RW_SOURCE_DIR, models = root + "/models/long-context/";
  const auto documented =
      cells_of(read_file(root + "/docs/long-context/perplexity.csv"), "ntk-by-parts,1,512,");
  ASSERT_GE(documented.size(), 16u);
  const Outcome outcome = run_program(
      {"perplexity", root + "/configs/cpu.yaml", "--ids", models + "held-out.ids", "--context",
       "512", "--set", "model=" + models + "ntk-by-parts-seed1", "--set",
       "rope={policy: ntk-by-parts, factor: 2, original_max_position_embeddings: 256}", "--json"},
      "");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json answer = outcome.json();
  const double perplexity = std::stod(documented[3]);
  EXPECT_NEAR(answer["rows"][0]["perplexity"].get<double>(), perplexity, 1e-3 * perplexity);
  EXPECT_EQ(answer["rows"][0]["tokens"].get<int>(), std::stoi(documented[6]));
  EXPECT_EQ(answer["dataset_sha256"].get<std::string>(), documented[15]);
}

}  // namespace
}  // namespace ropewalk::test
