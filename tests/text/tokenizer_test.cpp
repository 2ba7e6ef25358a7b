#include "core/text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "core/base/error.h"
#include "core/base/utf8.h"
#include "core/json/json.h"
#include "core/text/prompt.h"
#include "tests/cpu_time.h"
#include "tests/error_of.h"
#include "tests/sentencepiece/model_bytes.h"

namespace ropewalk::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kBundled[] = RW_SOURCE_DIR "/models/airophin-mini";

std::string slurp(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Tokenizer small_tokenizer(const char* tokenizer_config) {
  TokenizerModel model = parse_tokenizer_model(ModelBytes::small().bytes(), "t.model");
  SideFiles json;
  json.tokenizer_config = tokenizer_config;
  TokenizerConfig config = parse_tokenizer_config(json, model);
  return Tokenizer(std::move(model), std::move(config));
}

// Ids and texts that transformers and sentencepiece give (tests/fixtures/README.md).
void expect_cases(const std::filesystem::path& cases, const std::filesystem::path& model_dir) {
  const Tokenizer legacy = Tokenizer::open(model_dir, {.legacy = true});
  const Tokenizer modern = Tokenizer::open(model_dir, {.legacy = false});
  const std::string text = slurp(cases);
  const Json json = parse_json(text, {cases.string(), ExitCode::model});
  size_t rows = 0;
  for (const Json& row : json["rows"]) {
    const Tokenizer& tokenizer = row["legacy"].get<bool>() ? legacy : modern;
    const auto special =
        row["parse_special"].get<bool>() ? SpecialTokens::parse : SpecialTokens::as_text;
    const auto ids = row["ids"].get<std::vector<int32_t>>();
    EXPECT_EQ(tokenizer.encode_text(row["text"].get<std::string>(), special), ids) << row.dump();
    if (row.contains("decoded")) {
      EXPECT_EQ(tokenizer.decode(ids), row["decoded"].get<std::string>()) << row.dump();
    }
    ++rows;
  }
  EXPECT_GT(rows, 50u);
}

TEST(Tokenizer, AgreesWithTransformersOnTheBundledVocabulary) {
  expect_cases(RW_FIXTURES "/tokenizer/cases.json", kBundled);
}

TEST(Tokenizer, AgreesWithTransformersOnAddedTokens) {
  expect_cases(RW_FIXTURES "/tokenizer/added/cases.json", RW_FIXTURES "/tokenizer/added");
}

TEST(Tokenizer, ReadsTheSpecialTokens) {
  const Tokenizer tokenizer = Tokenizer::open(kBundled, {});
  EXPECT_EQ(tokenizer.vocab_size(), 1024u);
  EXPECT_EQ(tokenizer.bos_id(), 1);
  EXPECT_EQ(tokenizer.eos_id(), 2);
  EXPECT_TRUE(tokenizer.add_bos());
  EXPECT_TRUE(tokenizer.legacy());
  const Tokenizer added = Tokenizer::open(RW_FIXTURES "/tokenizer/added", {});
  EXPECT_EQ(added.vocab_size(), 304u);
  ASSERT_NE(added.added().find("ropewalk"), nullptr);
  EXPECT_EQ(added.added().find("ropewalk")->id, 303);
  EXPECT_EQ(added.text_of(303).bytes, "ropewalk");
  EXPECT_EQ(added.text_of(300).bytes, "");
}

TEST(Tokenizer, OldRepositoriesWithoutALegacyKeyAreLegacy) {
  EXPECT_TRUE(small_tokenizer("{}").legacy());
  EXPECT_FALSE(small_tokenizer(R"({"legacy": false})").legacy());
}

// huggingface/transformers, LlamaTokenizer's docstring: after a special token, legacy puts a space.
TEST(Tokenizer, LegacyPutsASpaceAfterASpecialToken) {
  const Tokenizer legacy = small_tokenizer(R"({"legacy": true})");
  const Tokenizer modern = small_tokenizer(R"({"legacy": false})");
  constexpr int32_t kSpaceA = 263, kSpace = 259, kA = 260;
  EXPECT_THAT(legacy.encode_text("a <s>a", SpecialTokens::parse),
              ElementsAre(kSpaceA, kSpace, 1, kSpaceA));
  EXPECT_THAT(modern.encode_text("a <s>a", SpecialTokens::parse),
              ElementsAre(kSpaceA, kSpace, 1, kA));
}

// Ids 0, 1 and 2 are the unknown, begin and end tokens; a piece that looks like a byte stays text.
TEST(Tokenizer, UserTextNeverBecomesAControlToken) {
  const Tokenizer tokenizer = Tokenizer::open(kBundled, {});
  for (const char* text :
       {"</s>", "<s>", "<unk>", "<0x0A>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "a</s>USER: ",
        "\x01"
        "1\x01"}) {
    const std::vector<int32_t> ids = tokenizer.encode_text(text, SpecialTokens::as_text);
    EXPECT_THAT(ids, testing::Each(testing::Gt(2))) << text;
    EXPECT_EQ(tokenizer.decode(ids), text);
  }
}

TEST(Tokenizer, SaysWhatStandsForUnknownText) {
  EXPECT_EQ(Tokenizer::open(kBundled, {}).unknown_id(), 0);
  const auto of_file = [](const char* name) {
    return Tokenizer::open(std::filesystem::path(RW_FIXTURES "/bpe") / name, {}).unknown_id();
  };
  EXPECT_EQ(of_file("unknown-apart"), 0);
  EXPECT_EQ(of_file("qwen2"), std::nullopt);
}

TEST(Tokenizer, AControlPieceOfOneCharacterIsNotSpelt) {
  ModelBytes bytes = ModelBytes::small();
  bytes.pieces += piece_bytes("#", 0, 3);
  TokenizerModel model = parse_tokenizer_model(bytes.bytes(), "t.model");
  TokenizerConfig config = parse_tokenizer_config({}, model);
  const Tokenizer tokenizer(std::move(model), std::move(config));
  EXPECT_THAT(tokenizer.encode_text("#", SpecialTokens::as_text), ElementsAre(259, 3 + '#'));
}

TEST(Tokenizer, ASpecialTokenThatIsAnOrdinaryPieceIsNotSpelt) {
  ModelBytes bytes = ModelBytes::small();
  bytes.pieces += piece_bytes("<|e|>", -1, 4);  // user-defined
  TokenizerModel model = parse_tokenizer_model(bytes.bytes(), "t.model");
  SideFiles json;
  json.tokenizer_config = R"({"additional_special_tokens": ["<|e|>"], "bos_token": ""})";
  TokenizerConfig config = parse_tokenizer_config(json, model);
  const Tokenizer tokenizer(std::move(model), std::move(config));
  EXPECT_THAT(tokenizer.encode_text("<|e|>", SpecialTokens::as_text),
              ElementsAre(259, 3 + '<', 3 + '|', 3 + 'e', 3 + '|', 3 + '>'));
  EXPECT_THAT(tokenizer.encode_text("<|e|>", SpecialTokens::parse), ElementsAre(264));
  EXPECT_EQ(tokenizer.bos_id(), 1);
}

TEST(Tokenizer, BytesThatAreNotUtf8SurviveARoundTrip) {
  const Tokenizer tokenizer = small_tokenizer("{}");
  EXPECT_THAT(tokenizer.encode_text("a\xff"
                                    "b",
                                    SpecialTokens::as_text),
              ElementsAre(263, 3 + 0xff, 261));
  EXPECT_THAT(tokenizer.encode_text("\xc3", SpecialTokens::as_text), ElementsAre(259, 3 + 0xc3));
  std::string bytes;
  for (const int32_t id : tokenizer.encode_text("\xed\xa0\x80", SpecialTokens::as_text))
    bytes += tokenizer.text_of(id).bytes;
  EXPECT_EQ(bytes, " \xed\xa0\x80");
  EXPECT_EQ(tokenizer.decode(tokenizer.encode_text("a\xff", SpecialTokens::as_text)),
            "a\xef\xbf\xbd");
}

TEST(Tokenizer, WithoutBytePiecesTheUnknownTokenStandsIn) {
  ModelBytes bytes;
  bytes.pieces = piece_bytes("<unk>", 0, 2) + piece_bytes("<s>", 0, 3) + piece_bytes("</s>", 0, 3) +
                 piece_bytes("a", -1, 1);
  bytes.trainer = "\x18\x02";                             // model_type: BPE
  bytes.normalizer = std::string("\x18\x00\x20\x00", 4);  // no prefix, spaces kept
  TokenizerModel model = parse_tokenizer_model(bytes.bytes(), "t.model");
  TokenizerConfig config = parse_tokenizer_config({}, model);
  const Tokenizer tokenizer(std::move(model), std::move(config));
  EXPECT_THAT(tokenizer.encode_text("a\xff"
                                    "a",
                                    SpecialTokens::as_text),
              ElementsAre(3, 0, 3));
  // sentencepiece: neighbouring unknown characters are one unknown token.
  EXPECT_THAT(tokenizer.encode_text("axyza", SpecialTokens::as_text), ElementsAre(3, 0, 3));
  EXPECT_EQ(tokenizer.decode(std::vector<int32_t>{3, 0}), "a \xe2\x81\x87 ");
}

// The stretches that the encoder cuts a long text into must not show.
TEST(Tokenizer, LongTextsGetTheIdsOfTheirParts) {
  const Tokenizer tokenizer = Tokenizer::open(kBundled, {});
  const std::string sentence =
      "The source of the answer is https://web.site/123, dated 2023-06-01.\n";
  const std::vector<int32_t> first = tokenizer.encode_text(sentence, SpecialTokens::as_text);
  // "\n" is a byte token, so that every line but the first begins without a space in front.
  std::vector<int32_t> one = tokenizer.encode_text("\n" + sentence, SpecialTokens::as_text);
  one.erase(one.begin(), one.begin() + 2);
  std::string text = sentence;
  std::vector<int32_t> expected = first;
  for (int i = 0; i < 2000; ++i) {
    text += sentence;
    expected.insert(expected.end(), one.begin(), one.end());
  }
  EXPECT_EQ(tokenizer.encode_text(text, SpecialTokens::as_text), expected);
}

TEST(Tokenizer, TooMuchTextIsRefusedAtOnce) {
  const Tokenizer tokenizer = Tokenizer::open(kBundled, {});
  const double start = cpu_seconds();
  expect_error(
      ExitCode::limit,
      "text: found 100000000 bytes, expected at most 16777216. Give the text in parts.",
      [&] { tokenizer.encode_text(std::string(100'000'000, 'a'), SpecialTokens::as_text); });
  EXPECT_LT(cpu_seconds() - start, 10);
}

TEST(Tokenizer, AnEndlessWordIsRefused) {
  const Tokenizer tokenizer = small_tokenizer("{}");
  EXPECT_EQ(tokenizer.encode_text(std::string(10'000, 'b'), SpecialTokens::as_text).size(),
            10'001u);
  const Tokenizer bundled = Tokenizer::open(kBundled, {});
  const std::string word(1'100'000, 's');  // "s" and "s" meet in a piece, as in "less"
  expect_error(ExitCode::limit, HasSubstr("without a place to cut"),
               [&] { bundled.encode_text(word, SpecialTokens::as_text); });
}

TEST(Tokenizer, AnySequenceOfIdsDecodes) {
  const Tokenizer tokenizer = Tokenizer::open(kBundled, {});
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    std::vector<int32_t> ids(random() % 30);
    for (int32_t& id : ids) id = static_cast<int32_t>(random() % 1100) - 20;
    EXPECT_EQ(utf8_first_error(tokenizer.decode(ids)), std::string::npos);
  }
}

class ModelDirectory : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = std::filesystem::path(testing::TempDir()) /
           (std::string("rw_tokenizer_") +
            testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  void write(const char* name, const std::string& bytes) { std::ofstream(dir_ / name) << bytes; }
  std::string refusal(const TokenizerOptions& options = {}) {
    try {
      Tokenizer::open(dir_, options);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::model);
      return error.what();
    }
    return "was read";
  }

  std::filesystem::path dir_;
};

TEST_F(ModelDirectory, MissingModelIsNamed) {
  EXPECT_EQ(refusal(), (dir_ / "tokenizer.json").string() +
                           ": no such file, and no tokenizer.model beside it, expected one of "
                           "them. Download the model's tokenizer.json or tokenizer.model.");
  EXPECT_EQ(refusal({.source = TokenizerSource::sentencepiece}),
            (dir_ / "tokenizer.model").string() +
                ": no such file, expected sentencepiece's model. Download the model's "
                "tokenizer.model.");
  write("tokenizer.json", "{}");
  EXPECT_EQ(refusal(),
            (dir_ / "tokenizer.json").string() + ": model: is missing, expected an object.");
  EXPECT_THAT(refusal({.source = TokenizerSource::sentencepiece}),
              HasSubstr("Use tokenizer.source: json for the tokenizer.json that is there"));
}

TEST_F(ModelDirectory, WhatIsNotAFileIsRefused) {
  std::filesystem::create_directory(dir_ / "tokenizer.model");
  EXPECT_THAT(refusal(), HasSubstr("not a regular file"));
}

TEST_F(ModelDirectory, MissingBeginAndEndAreNamed) {
  ModelBytes bytes = ModelBytes::small();
  bytes.pieces =
      piece_bytes("<unk>", 0, 2) + piece_bytes("<s>", 0, 3) + ModelBytes::byte_pieces(256);
  write("tokenizer.model", bytes.bytes());
  EXPECT_THAT(refusal(), HasSubstr("tokenizer.model: pieces: no piece \"</s>\""));
  bytes.pieces += piece_bytes("[END]", 0, 3);
  write("tokenizer.model", bytes.bytes());
  write("special_tokens_map.json", R"({"eos_token": "[END]"})");
  EXPECT_EQ(Tokenizer::open(dir_, {}).eos_id(), 258);
}

struct BadJson {
  const char* file;
  const char* text;
  const char* message;
};

TEST_F(ModelDirectory, BadJsonIsRefusedByFileAndField) {
  const BadJson cases[] = {
      {"tokenizer_config.json", "{", "tokenizer_config.json"},
      {"tokenizer_config.json", "[]", "tokenizer_config.json"},
      {"added_tokens.json", "", "added_tokens.json"},
      {"special_tokens_map.json", "[", "special_tokens_map.json"},
      {"tokenizer_config.json", R"({"legacy": "no"})", "legacy"},
      {"tokenizer_config.json", R"({"legacy": true, "legacy": false})", "legacy"},
      {"tokenizer_config.json", R"({"bos_token": 1})", "bos_token"},
      {"tokenizer_config.json", R"({"bos_token": "<unk>"})", "tokenizer.model: pieces"},
      {"tokenizer_config.json", R"({"eos_token": "<0x0A>"})", "tokenizer.model: pieces"},
      {"tokenizer_config.json", R"({"added_tokens_decoder": []})", "added_tokens_decoder"},
      {"tokenizer_config.json", R"({"added_tokens_decoder": {"x": {"content": "y"}}})",
       "added_tokens_decoder"},
      {"tokenizer_config.json", R"({"added_tokens_decoder": {"-1": {"content": "y"}}})", "-1"},
      {"tokenizer_config.json", R"({"added_tokens_decoder": {"5": {"content": "y", "lstrip": 1}}})",
       "lstrip"},
      {"tokenizer_config.json", R"({"added_tokens_decoder": {"99999999999": {"content": "y"}}})",
       "the id is too large"},
      {"tokenizer_config.json",
       R"({"added_tokens_decoder": {"5": {"content": "y"}, "6": {"content": "y"}}})", "twice"},
      {"added_tokens.json", R"({"x": "5"})", "x"},
      {"added_tokens.json", R"({"x": -5})", "x"},
      {"added_tokens.json", R"({"x": 300, "y": 300})", "twice"},
      {"added_tokens.json", R"({"": 300})", "name is empty"},
      {"special_tokens_map.json", R"({"additional_special_tokens": "x"})",
       "additional_special_tokens"},
  };
  write("tokenizer.model", ModelBytes::small().bytes());
  for (const BadJson& bad : cases) {
    write(bad.file, bad.text);
    EXPECT_THAT(refusal(), HasSubstr(bad.message)) << bad.text;
    std::filesystem::remove(dir_ / bad.file);
  }
  EXPECT_EQ(refusal(), "was read");
}

TEST_F(ModelDirectory, TooManyAddedTokensAreRefused) {
  write("tokenizer.model", ModelBytes::small().bytes());
  std::string names = "{";
  for (int i = 0; i <= 10'000; ++i)
    names += (i ? ",\"x" : "\"x") + std::to_string(i) + "\":" + std::to_string(300 + i);
  write("added_tokens.json", names + "}");
  EXPECT_THAT(refusal(), HasSubstr("found 10001 tokens, expected at most 10000"));
}

// Llama 3's own files have it under this name.
TEST_F(ModelDirectory, TiktokensRanksAreCalledSo) {
  write("tokenizer.model", "IQ== 0\nIg== 1\n");
  EXPECT_THAT(refusal(),
              HasSubstr("found tiktoken's list of ranks, expected sentencepiece's model. "
                        "Download the model's tokenizer.json."));
  write("tokenizer.model", "IQ 0x\n");
  EXPECT_THAT(refusal(), Not(HasSubstr("tiktoken")));
}

TEST_F(ModelDirectory, TruncatedJsonIsRefusedAtEveryByte) {
  write("tokenizer.model", ModelBytes::small().bytes());
  const std::string whole = slurp(std::filesystem::path(kBundled) / "tokenizer_config.json");
  const size_t end = whole.rfind('}');
  for (size_t size = 0; size <= end; size += 7) {
    write("tokenizer_config.json", whole.substr(0, size));
    EXPECT_THAT(refusal(), HasSubstr("tokenizer_config.json")) << size;
  }
}

// The example of transformers' Trie.split (src/transformers/tokenization_utils.py).
TEST(AddedTokens, TheLongestNameWins) {
  const AddedTokens tokens({{.name = "[CLS]", .id = 0},
                            {.name = "extra_id_1", .id = 1},
                            {.name = "extra_id_100", .id = 2}});
  const std::vector<Segment> parts = tokens.split("[CLS] This is a extra_id_100");
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].token, tokens.find("[CLS]"));
  EXPECT_EQ(parts[1].text, " This is a ");
  EXPECT_EQ(parts[1].token, nullptr);
  EXPECT_EQ(parts[2].token, tokens.find("extra_id_100"));
}

// Flags of added tokens, and the leading space that stays before a special token which no key
// names: ids by transformers 4.57.6 for this configuration.
TEST(TokenizerConfig, FlagsOfAddedTokensAreTransformers) {
  TokenizerModel model =
      parse_tokenizer_model(slurp(std::filesystem::path(kBundled) / "tokenizer.model"), "t.model");
  SideFiles json;
  json.tokenizer_config = R"({"legacy": false, "added_tokens_decoder": {
      "0": {"content": "<unk>", "special": true}, "1": {"content": "<s>", "special": true},
      "2": {"content": "</s>", "special": true},
      "1024": {"content": "<x>", "special": true, "rstrip": true},
      "1025": {"content": "<y>", "lstrip": true},
      "1026": {"content": "green", "single_word": true}}})";
  TokenizerConfig config = parse_tokenizer_config(json, model);
  const Tokenizer tokenizer(std::move(model), std::move(config));
  EXPECT_THAT(tokenizer.encode_text("<x><unk><x></s>blueberries", SpecialTokens::parse),
              ElementsAre(955, 1024, 0, 1024, 2, 991, 599, 956, 803));
  EXPECT_THAT(
      tokenizer.encode_text("<x>  <s>hello<y>green<x>  ASSISTANT:\n\nUSER:", SpecialTokens::parse),
      ElementsAre(955, 1024, 1, 263, 377, 962, 63, 997, 65, 873, 300, 1024, 986, 969, 314, 972, 13,
                  13, 974, 311, 972));
  EXPECT_THAT(tokenizer.encode_text("<x>\n<y> ", SpecialTokens::parse),
              ElementsAre(955, 1024, 1025, 955));
  EXPECT_THAT(tokenizer.encode_text("a \u2003\n<y>b", SpecialTokens::parse),
              ElementsAre(261, 1025, 991));
}

TEST(TokenizerConfig, AMissingSpecialTokenGetsTheNextId) {
  const Tokenizer tokenizer = small_tokenizer(R"({"pad_token": "[PAD]"})");
  ASSERT_NE(tokenizer.added().find("[PAD]"), nullptr);
  EXPECT_EQ(tokenizer.added().find("[PAD]")->id, 264);
  EXPECT_EQ(tokenizer.vocab_size(), 265u);
}

}  // namespace
}  // namespace ropewalk::test
