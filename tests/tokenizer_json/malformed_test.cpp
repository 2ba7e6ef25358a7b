// A tokenizer.json that is wrong is refused in words: where, what was found, what was expected.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/tokenizer_json/small_file.h"

namespace ropewalk::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string refusal(std::string_view text, const SideFiles& beside) {
  try {
    open_text(text, beside);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::model);
    return error.what();
  }
  return "was read";
}

std::string refusal(const SmallFile& file) { return refusal(file.text(), {}); }

constexpr char kDamaged[] = ". The file is damaged: download it again.";

TEST(MalformedTokenizerJson, TheSmallFileIsRead) { EXPECT_EQ(refusal(SmallFile{}), "was read"); }

TEST(MalformedTokenizerJson, NotJson) {
  EXPECT_THAT(refusal("\xff", {}), StartsWith("tokenizer.json: not UTF-8 at line 1, column 1."));
  EXPECT_THAT(refusal("", {}), StartsWith("tokenizer.json: the file is empty, expected JSON."));
  EXPECT_THAT(refusal("[]", {}), StartsWith("tokenizer.json: found a list, expected an object."));
  EXPECT_THAT(refusal("{} x", {}),
              StartsWith("tokenizer.json: not valid JSON at line 1, column 4"));
  SmallFile twice;
  twice.vocabulary += R"(,"ab":300)";
  EXPECT_THAT(refusal(twice),
              StartsWith("tokenizer.json: duplicate key \"ab\" before line 1, column "));
  SmallFile deep;
  deep.rest = ",\"x\":" + std::string(24, '[') + std::string(24, ']');
  EXPECT_THAT(refusal(deep),
              StartsWith("tokenizer.json: nested too deeply, expected at most 24 levels."));
}

TEST(MalformedTokenizerJson, ACutFileIsRefusedAtEveryByte) {
  const std::string whole = SmallFile{}.text();
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_THAT(refusal(whole.substr(0, size), {}), StartsWith("tokenizer.json: ")) << size;
}

struct Case {
  std::string SmallFile::*part;
  const char* text;
  std::string message;
};

void expect_refusals(std::initializer_list<Case> cases) {
  for (const Case& wrong : cases) {
    SmallFile file;
    file.*wrong.part = wrong.text;
    EXPECT_EQ(refusal(file), wrong.message) << wrong.text;
  }
}

TEST(MalformedTokenizerJson, Ids) {
  const std::string vocab = "tokenizer.json: model.vocab: ";
  expect_refusals({
      {&SmallFile::vocabulary, R"("xx":-1)",
       vocab + "\"xx\": found -1, expected an id from 0" + kDamaged},
      {&SmallFile::vocabulary, R"("xx":256.5)",
       vocab + "\"xx\": found 256.5, expected an id from 0" + kDamaged},
      {&SmallFile::vocabulary, R"("xx":"256")",
       vocab + "\"xx\": found \"256\", expected an id from 0" + kDamaged},
      {&SmallFile::vocabulary, R"("xx":[256])",
       vocab + "\"xx\": found a list, expected an id from 0" + kDamaged},
      {&SmallFile::vocabulary, R"("xx":{})",
       vocab + "\"xx\": found an object, expected an id from 0" + kDamaged},
      {&SmallFile::vocabulary, R"("xx":null)",
       vocab + "\"xx\": found null, expected an id from 0" + kDamaged},
      {&SmallFile::vocabulary, R"("xx":1000257)",
       vocab + "\"xx\": found the id 1000257, expected at most 1000256" + kDamaged},
      {&SmallFile::vocabulary, R"("xx":4294967296)",
       vocab + "\"xx\": found the id 4294967296, expected less than 2000000" + kDamaged},
      {&SmallFile::vocabulary, R"("":256)", vocab + "\"\": the token's name is empty" + kDamaged},
      {&SmallFile::vocabulary, R"("xx":7,"ab":256,"abc":257,"<s>":258)",
       vocab + "\"ć\" and \"xx\" have the id 7, expected one each" + kDamaged},
  });
}

TEST(MalformedTokenizerJson, Merges) {
  const std::string first = "tokenizer.json: model.merges[0]: ";
  const std::string second = "tokenizer.json: model.merges[1]: ";
  expect_refusals({
      {&SmallFile::merges, R"("ab")",
       first + "found \"ab\", expected two names with one space between" + kDamaged},
      {&SmallFile::merges, R"("a b","a b c")",
       second + "found \"a b c\", expected two names with one space between" + kDamaged},
      {&SmallFile::merges, R"("a b",["a"])",
       second + "found a list of 1, expected the names of two tokens" + kDamaged},
      {&SmallFile::merges, R"(["a","b","c"])",
       first + "found \"c\", expected the names of two tokens" + kDamaged},
      {&SmallFile::merges, R"(["a",1])",
       first + "found 1, expected the names of two tokens" + kDamaged},
      {&SmallFile::merges, "7",
       first + "found 7, expected a text or a list of two texts" + kDamaged},
      {&SmallFile::merges, R"(["a","zz"])", first + "\"zz\" is not in the vocabulary" + kDamaged},
      {&SmallFile::merges, R"(" b")", first + "\"\" is not in the vocabulary" + kDamaged},
      {&SmallFile::merges, R"(["b","a"])",
       first + "what it makes, \"ba\" is not in the vocabulary" + kDamaged},
  });
}

TEST(MalformedTokenizerJson, TheModel) {
  const std::string model = "tokenizer.json: model.";
  const std::string foreign =
      ". Ropewalk reads BPE tokenizers; take tokenizer.model if there is one.";
  EXPECT_EQ(refusal(R"({"model":{"type":"Unigram","vocab":[["a",-1.5]]}})", {}),
            model + "type: found \"Unigram\", expected \"BPE\"" + foreign);
  EXPECT_EQ(refusal(R"({"model":{"type":"WordPiece","vocab":{"a":0}}})", {}),
            model + "type: found \"WordPiece\", expected \"BPE\"" + foreign);
  EXPECT_EQ(refusal(R"({"model":{"merges":[]}})", {}),
            model + "vocab: is missing, expected an object of ids.");
  EXPECT_EQ(refusal(R"({"model":{"vocab":{}}})", {}),
            model + "merges: is missing, expected a list" + foreign);
  EXPECT_EQ(refusal(R"({"model":[]})", {}),
            "tokenizer.json: model: found a list, expected an object.");
  expect_refusals({
      {&SmallFile::model, R"(,"unk_token":"<unk>")",
       model + "unk_token: \"<unk>\" is not in the vocabulary" + kDamaged},
      {&SmallFile::model, R"(,"dropout":0.1)",
       model + "dropout: found a number other than 0, which makes ids random, expected null."},
      {&SmallFile::model, R"(,"end_of_word_suffix":"</w>")",
       model + "end_of_word_suffix: found \"</w>\", expected null or \"\"" + foreign},
      {&SmallFile::model, R"(,"continuing_subword_prefix":"##")",
       model + "continuing_subword_prefix: found \"##\", expected null or \"\"" + foreign},
      {&SmallFile::model, R"(,"ignore_merges":1)",
       model + "ignore_merges: found 1, expected true or false."},
      {&SmallFile::pre_tokenizer, "null", "was read"},
  });
}

TEST(MalformedTokenizerJson, BytesThatAreMissing) {
  SmallFile file;
  std::string text = file.text();
  text.erase(text.find("\"A\":65,"), 7);
  EXPECT_EQ(
      refusal(text, {}),
      std::string("tokenizer.json: model.vocab: \"A\", the token of the byte 0x41, is missing, "
                  "expected one") +
          kDamaged);
  file.pre_tokenizer = "null";
  file.model = R"(,"byte_fallback":true)";
  file.vocabulary += R"(,"<0x00>":300)";
  EXPECT_EQ(
      refusal(file),
      std::string("tokenizer.json: model.vocab: \"<0x01>\" is missing, expected all 256 bytes "
                  "for byte_fallback") +
          kDamaged);
}

TEST(MalformedTokenizerJson, AddedTokens) {
  const std::string added = "tokenizer.json: added_tokens";
  expect_refusals({
      {&SmallFile::added, "1", added + "[0]: found 1, expected an object."},
      {&SmallFile::added, R"({"id":300})", added + "[0].content: is missing, expected a text."},
      {&SmallFile::added, R"({"content":"x"})",
       added + "[0].id: is missing, expected an integer from 0 to 1000258."},
      {&SmallFile::added, R"({"id":300,"content":""})",
       added + "[0].content: the token's name is empty."},
      {&SmallFile::added, R"({"id":-3,"content":"x"})",
       added + "[0].id: found -3, expected an integer from 0 to 1000258."},
      {&SmallFile::added, R"({"id":300,"content":"x","lstrip":"no"})",
       added + "[0].lstrip: found \"no\", expected true or false."},
      {&SmallFile::added, R"({"id":300,"content":"x"},{"id":301,"content":"x"})",
       added + "[1]: the name \"x\" or the id 301 is there twice, expected each once."},
      {&SmallFile::added, R"({"id":300,"content":"x"},{"id":300,"content":"y"})",
       added + "[1]: the name \"y\" or the id 300 is there twice, expected each once."},
      {&SmallFile::added, R"({"id":256,"content":"xx"})",
       added + ": \"xx\" has the id 256, which model.vocab gives to \"ab\"" + kDamaged},
      {&SmallFile::added, R"({"id":300,"content":"ab"})",
       added + ": \"ab\" has the id 300, which model.vocab gives to another: 256" + kDamaged},
  });
}

// Files of embedding models cut texts and fill them up.
TEST(MalformedTokenizerJson, TruncationAndPaddingAreIgnoredAndNoted) {
  SmallFile file;
  file.rest = R"(,"truncation":{"max_length":1},"padding":{"strategy":{"Fixed":9}})";
  testing::internal::CaptureStderr();
  const Tokenizer tokenizer = open_text(file.text(), {});
  const std::string noted = testing::internal::GetCapturedStderr();
  for (const std::string key : {"truncation", "padding"})
    EXPECT_THAT(noted, HasSubstr("note: tokenizer.json: " + key +
                                 " is set, which is not for "
                                 "generating text; it is ignored\n"));
  EXPECT_THAT(tokenizer.encode_text("abab", SpecialTokens::as_text), ElementsAre(256, 256));
}

TEST(MalformedTokenizerJson, TooMuch) {
  SmallFile file;
  file.added.clear();
  for (int i = 0; i <= 10'000; ++i)
    file.added += (i ? ",{" : "{") + ("\"content\":\"x" + std::to_string(i)) +
                  "\",\"id\":" + std::to_string(300 + i) + "}";
  EXPECT_EQ(refusal(file),
            "tokenizer.json: added_tokens: found 10001 tokens, expected at most 10000.");
  SmallFile many;
  many.merges = "\"a b\"";
  for (int i = 0; i < 2'000'000; ++i) many.merges += ",\"a b\"";
  EXPECT_EQ(refusal(many),
            std::string("tokenizer.json: model.merges[2000000]: expected at most 2000000 merges") +
                kDamaged);
  SmallFile named;
  named.vocabulary = "\"" + std::string(65537, 'x') + "\":256";
  EXPECT_THAT(refusal(named), HasSubstr("the name has 65537 bytes, expected at most 65536"));
}

TEST(MalformedTokenizerJson, TheFilesBeside) {
  SideFiles beside;
  beside.tokenizer_config = R"({"added_tokens_decoder":{"256":{"content":"xx"}}})";
  EXPECT_EQ(
      refusal(SmallFile{}.text(), beside),
      std::string("tokenizer.json: added_tokens: \"xx\" has the id 256, which model.vocab gives "
                  "to \"ab\"") +
          kDamaged);
  beside.tokenizer_config = R"({"added_tokens_decoder":{"259":{"content":"<s>"}}})";
  EXPECT_EQ(refusal(SmallFile{}.text(), beside),
            "tokenizer_config.json: added_tokens_decoder.259: the name \"<s>\" or the id is there "
            "twice, expected each once.");
  beside.tokenizer_config = R"({"eos_token":"a"})";
  EXPECT_EQ(refusal(SmallFile{}.text(), beside),
            "tokenizer.json: \"a\" is a byte or the unknown token, expected one token for the "
            "beginning and one for the end of a sequence. Name them in tokenizer_config.json as "
            "bos_token and eos_token.");
}

}  // namespace
}  // namespace ropewalk::test
