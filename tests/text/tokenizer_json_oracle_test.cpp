// Ids and texts that the tokenizers library gives for small files of every family's pipeline and of
// every switch (tools/tokenizer_json/variants.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "core/json/json.h"
#include "core/text/stream.h"
#include "core/text/tokenizer.h"
#include "tests/files.h"

namespace ropewalk::test {
namespace {

const std::filesystem::path kFolder = RW_FIXTURES "/bpe";

std::vector<std::string> names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder))
    if (entry.is_directory()) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

Json cases_of(const std::string& name) {
  return parse_json(read_file(kFolder / name / "cases.json"), {name, ExitCode::model});
}

class TokenizerJsonOracle : public testing::TestWithParam<std::string> {
 protected:
  Tokenizer tokenizer_ = Tokenizer::open(kFolder / GetParam(), {});
  Json cases_ = cases_of(GetParam());
};

TEST_P(TokenizerJsonOracle, Ids) {
  size_t rows = 0;
  for (const Json& row : cases_["rows"]) {
    const auto text = row[0].get<std::string>();
    const auto ids = row[1].get<std::vector<int32_t>>();
    const auto as_text = row[3].is_null() ? ids : row[3].get<std::vector<int32_t>>();
    EXPECT_EQ(tokenizer_.encode_text(text, SpecialTokens::parse), ids) << row.dump();
    EXPECT_EQ(tokenizer_.encode_text(text, SpecialTokens::as_text), as_text) << row.dump();
    ++rows;
  }
  EXPECT_GT(rows, 100u);
}

TEST_P(TokenizerJsonOracle, Texts) {
  for (const Json& row : cases_["rows"]) {
    const auto ids = row[1].get<std::vector<int32_t>>();
    const auto text = (row[2].is_null() ? row[0] : row[2]).get<std::string>();
    EXPECT_EQ(tokenizer_.decode(ids), text) << row.dump();
    TextStream stream({}, LeadingSpace::strip);
    std::string streamed;
    for (const int32_t id : ids) streamed += stream.push(tokenizer_.text_of(id));
    EXPECT_EQ(streamed + stream.finish(), text) << row.dump();
  }
}

TEST_P(TokenizerJsonOracle, BeginningOfSequence) {
  const auto front = cases_["front"].get<std::vector<int32_t>>();
  EXPECT_EQ(tokenizer_.add_bos(), !front.empty());
  if (!front.empty()) {
    EXPECT_EQ(tokenizer_.bos_id(), front[0]);
  }
}

std::string test_name(const testing::TestParamInfo<std::string>& variant) {
  std::string name = variant.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '-' || c == '.'; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Files, TokenizerJsonOracle, testing::ValuesIn(names()), test_name);

}  // namespace
}  // namespace ropewalk::test
