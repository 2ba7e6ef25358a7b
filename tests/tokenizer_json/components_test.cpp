// The components of a tokenizer.json: those that are not supported are refused by name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/text/prompt.h"
#include "core/tokenizer_json/normalizer.h"
#include "tests/tokenizer_json/small_file.h"

namespace ropewalk::test {
namespace {

using ::testing::ElementsAre;

std::string refusal(std::string SmallFile::*part, const std::string& text) {
  SmallFile file;
  file.*part = text;
  try {
    open_text(file.text(), {});
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::model);
    return error.what();
  }
  return "was read";
}

constexpr char kAdvice[] = ". Take the model's tokenizer.model if it has one.";

TEST(Components, OtherNormalizersAreRefusedByName) {
  for (const std::string type : {"NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Precompiled",
                                 "BertNormalizer", "Nmt", "Strip", "ByteLevel", "Unheard"})
    EXPECT_EQ(refusal(&SmallFile::normalizer, "{\"type\":\"" + type + "\"}"),
              "tokenizer.json: normalizer.type: found \"" + type +
                  "\", expected one of NFC, Prepend, Replace, Sequence" + kAdvice);
  EXPECT_EQ(refusal(&SmallFile::normalizer,
                    R"({"type":"Replace","pattern":{"Regex":"a"},"content":"b"})"),
            std::string("tokenizer.json: normalizer.pattern: found a Regex, expected a String") +
                kAdvice);
  EXPECT_EQ(refusal(&SmallFile::normalizer,
                    R"({"type":"Replace","pattern":{"String":""},"content":"b"})"),
            "tokenizer.json: normalizer.pattern: the pattern is empty.");
  EXPECT_EQ(refusal(&SmallFile::normalizer, "7"),
            "tokenizer.json: normalizer: found 7, expected an object.");
}

TEST(Components, OtherPreTokenizersAreRefusedByName) {
  for (const std::string type : {"Whitespace", "WhitespaceSplit", "BertPreTokenizer", "Punctuation",
                                 "UnicodeScripts", "CharDelimiterSplit", "FixedLength"})
    EXPECT_EQ(refusal(&SmallFile::pre_tokenizer,
                      R"({"type":"Sequence","pretokenizers":[{"type":")" + type + "\"}]}"),
              "tokenizer.json: pre_tokenizer.pretokenizers[0].type: found \"" + type +
                  "\", expected one of ByteLevel, Digits, Metaspace, Sequence, Split" + kAdvice);
  EXPECT_EQ(
      refusal(&SmallFile::pre_tokenizer,
              R"({"type":"Sequence","pretokenizers":[{"type":"ByteLevel"},{"type":"Digits"}]})"),
      "tokenizer.json: pre_tokenizer.pretokenizers[1].type: found Digits after ByteLevel, "
      "expected ByteLevel at the end.");
  EXPECT_EQ(
      refusal(&SmallFile::pre_tokenizer,
              R"({"type":"Split","pattern":{"Regex":"a\\w"},"behavior":"Isolated"})"),
      "tokenizer.json: pre_tokenizer.pattern.Regex: found \"\\w\" at byte 1 of the pattern, "
      "expected \\p{..} \\P{..} \\s \\S \\d \\r \\n \\t, a code point or an escaped mark. Take "
      "the model's tokenizer.model if it has one.");
  EXPECT_EQ(
      refusal(&SmallFile::pre_tokenizer,
              R"({"type":"Split","pattern":{"String":"a"},"behavior":"Sideways"})"),
      "tokenizer.json: pre_tokenizer.behavior: found \"Sideways\", expected Isolated, Removed, "
      "Contiguous, MergedWithPrevious or MergedWithNext.");
  EXPECT_EQ(refusal(&SmallFile::pre_tokenizer, R"({"type":"Metaspace","replacement":""})"),
            "tokenizer.json: pre_tokenizer.replacement: expected one character.");
  EXPECT_EQ(
      refusal(&SmallFile::pre_tokenizer,
              R"({"type":"Metaspace","replacement":"_","prepend_scheme":"last"})"),
      "tokenizer.json: pre_tokenizer.prepend_scheme: found \"last\", expected always, first or "
      "never.");
}

TEST(Components, SequencesNestEightDeep) {
  const auto nested = [](int depth) {
    std::string text = R"({"type":"NFC"})";
    for (int i = 0; i < depth; ++i) text = R"({"type":"Sequence","normalizers":[)" + text + "]}";
    return text;
  };
  EXPECT_EQ(refusal(&SmallFile::normalizer, nested(8)), "was read");
  EXPECT_THAT(refusal(&SmallFile::normalizer, nested(9)),
              testing::EndsWith(".type: Sequences nest deeper than 8."));
  EXPECT_EQ(refusal(&SmallFile::normalizer, R"({"type":"Sequence"})"),
            "tokenizer.json: normalizer.normalizers: is missing, expected a list of components.");
}

TEST(Components, OtherDecodersAreRefusedByName) {
  EXPECT_EQ(refusal(&SmallFile::decoder, "null"),
            "tokenizer.json: decoder: is missing, expected one of ByteFallback, ByteLevel, Fuse, "
            "Metaspace, Replace, Sequence, Strip.");
  for (const std::string type : {"WordPiece", "BPEDecoder", "CTC"})
    EXPECT_EQ(
        refusal(&SmallFile::decoder, "{\"type\":\"" + type + "\"}"),
        "tokenizer.json: decoder.type: found \"" + type +
            "\", expected one of ByteFallback, ByteLevel, Fuse, Metaspace, Replace, Sequence, "
            "Strip" +
            kAdvice);
  for (const std::string order :
       {R"({"type":"Fuse"},{"type":"ByteFallback"})", R"({"type":"ByteLevel"},{"type":"Fuse"})",
        R"({"type":"Fuse"},{"type":"ByteLevel"})",
        R"({"type":"Strip","content":" ","start":1,"stop":0})"})
    EXPECT_THAT(refusal(&SmallFile::decoder, R"({"type":"Sequence","decoders":[)" + order + "]}"),
                testing::HasSubstr("here, expected Replace, ByteFallback, Fuse and Strip in this "
                                   "order, or ByteLevel or Metaspace alone"));
  EXPECT_EQ(
      refusal(&SmallFile::decoder, R"({"type":"Sequence","decoders":[{"type":"Fuse"},)"
                                   R"({"type":"Strip","content":"_","start":1,"stop":0}]})"),
      "tokenizer.json: decoder.decoders[1].content: expected Strip of one space at the start.");
}

TEST(Components, OtherPostProcessorsAreRefusedByName) {
  for (const std::string type : {"BertProcessing", "RobertaProcessing"})
    EXPECT_EQ(refusal(&SmallFile::post_processor, "{\"type\":\"" + type + "\"}"),
              "tokenizer.json: post_processor.type: found \"" + type +
                  "\", expected one of ByteLevel, Sequence, TemplateProcessing" + kAdvice);
  const auto single = [](const std::string& pieces) {
    return R"({"type":"TemplateProcessing","single":[)" + pieces +
           R"(],"special_tokens":{"<s>":{"id":"<s>","ids":[258]},"two":{"id":"two","ids":[1,2]}}})";
  };
  const std::string text = R"(,{"Sequence":{"id":"A"}})";
  const auto token = [](const std::string& name) {
    return R"({"SpecialToken":{"id":")" + name + "\"}}";
  };
  EXPECT_EQ(refusal(&SmallFile::post_processor, single(token("<s>") + text)), "was read");
  EXPECT_EQ(refusal(&SmallFile::post_processor, single(token("<x>") + text)),
            "tokenizer.json: post_processor.single: \"<x>\" is not among special_tokens.");
  EXPECT_EQ(refusal(&SmallFile::post_processor, single(token("two") + text)),
            "tokenizer.json: post_processor.special_tokens.two.ids: expected a list of one id.");
  EXPECT_EQ(refusal(&SmallFile::post_processor, single(token("<s>") + "," + token("<s>") + text)),
            "tokenizer.json: post_processor.single: found several tokens in front of the text, "
            "expected at most one.");
}

TEST(Components, NfcIsUnicodes) {
  EXPECT_EQ(nfc("e\u0301"), "\u00e9");
  EXPECT_EQ(nfc("\u1100\u1161\u11a8"), "\uac01");
  EXPECT_EQ(nfc("a\u0301\u0327"), "\u00e1\u0327");
  EXPECT_EQ(nfc("\u0958\u2126"), "\u0915\u093c\u03a9");
  EXPECT_EQ(nfc("plain \u00e9"), "plain \u00e9");
}

TEST(Components, ADuplicateMergeHasTheLaterRank) {
  SmallFile file;
  file.vocabulary = R"("ab":256,"bc":257,"<s>":258)";
  file.merges = R"("a b","b c")";
  EXPECT_THAT(open_text(file.text(), {}).encode_text("abc", SpecialTokens::as_text),
              ElementsAre(256, 'c'));
  file.merges += R"(,"a b")";
  EXPECT_THAT(open_text(file.text(), {}).encode_text("abc", SpecialTokens::as_text),
              ElementsAre('a', 257));
}

// "<" "s>" would merge, and a name that is not special would be found.
TEST(Components, AUsersTextIsNeverAControlToken) {
  SmallFile file;
  file.vocabulary = R"("s>":256,"<s>":257)";
  file.merges = R"("s >","< s>")";
  file.added = R"({"id":257,"content":"<s>","special":true},{"id":258,"content":"<|User|>"})";
  Tokenizer tokenizer = open_text(file.text(), {});
  EXPECT_THAT(tokenizer.encode_text("<s>", SpecialTokens::as_text), ElementsAre('<', 256));
  EXPECT_THAT(tokenizer.encode_text("<s>", SpecialTokens::parse), ElementsAre(257));
  EXPECT_THAT(tokenizer.encode_text("<|User|>", SpecialTokens::as_text), ElementsAre(258));
  tokenizer.reserve("<|User|>");
  EXPECT_EQ(tokenizer.encode_text("<|User|>", SpecialTokens::as_text).size(), 8u);
  EXPECT_EQ(tokenizer.text_of(258).bytes, "<|User|>");
}

TEST(Components, BytesThatAreNotUtf8SurviveARoundTrip) {
  const Tokenizer tokenizer = open_text(SmallFile{}.text(), {});
  EXPECT_THAT(tokenizer.encode_text("a\xff\xe2\x82"
                                    "ab",
                                    SpecialTokens::as_text),
              ElementsAre('a', 0xff, 0xe2, 0x82, 256));
}

// What stands behind such a byte gets no space that the reader would see.
TEST(Components, NoSpaceIsPutBehindAByte) {
  SmallFile file;
  file.normalizer = R"({"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"_"},)"
                    R"({"type":"Replace","pattern":{"String":" "},"content":"_"}]})";
  const Tokenizer prepends = open_text(file.text(), {});
  EXPECT_THAT(prepends.encode_text("a\xff"
                                   "b c",
                                   SpecialTokens::as_text),
              ElementsAre('_', 'a', 0xff, 'b', '_', 'c'));
  file.normalizer = "null";
  file.pre_tokenizer =
      R"({"type":"Sequence","pretokenizers":[{"type":"Metaspace","replacement":"_"},)"
      R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]})";
  const Tokenizer always = open_text(file.text(), {});
  EXPECT_THAT(always.encode_text("a\xff"
                                 "b",
                                 SpecialTokens::as_text),
              ElementsAre('_', 'a', 0xff, 'b'));
}

// Qwen has none, and a format that emits it emits nothing.
TEST(Components, AModelMayHaveNoBeginning) {
  const Tokenizer tokenizer = open_text(SmallFile{}.text(), {});
  EXPECT_EQ(tokenizer.bos(), nullptr);
  EXPECT_EQ(tokenizer.bos_id(), -1);
  EXPECT_FALSE(tokenizer.add_bos());
  const std::vector<PromptPiece> pieces = {
      {PieceKind::bos, ""}, {PieceKind::text, "ab"}, {PieceKind::bos, ""}, {PieceKind::eos, ""}};
  EXPECT_THAT(prompt_ids(tokenizer, pieces), ElementsAre(256));
  EXPECT_THAT(raw_prompt_ids(tokenizer, "ab", SpecialTokens::as_text), ElementsAre(256));
}

TEST(Components, AddBosIsTheTemplatesOrTheLlamaClasses) {
  SmallFile file;
  const auto add_bos = [&](const char* config) {
    SideFiles beside;
    beside.tokenizer_config = config;
    return open_text(file.text(), beside).add_bos();
  };
  EXPECT_FALSE(add_bos(R"({"tokenizer_class":"PreTrainedTokenizerFast","bos_token":"<s>"})"));
  EXPECT_TRUE(add_bos(R"({"tokenizer_class":"LlamaTokenizerFast","bos_token":"<s>"})"));
  EXPECT_FALSE(add_bos(R"({"tokenizer_class":"LlamaTokenizer","bos_token":"<s>",)"
                       R"("add_bos_token":false})"));
  file.post_processor =
      R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{}}],)"
      R"("special_tokens":{"<s>":{"ids":[258]}}})";
  EXPECT_TRUE(add_bos(R"({"tokenizer_class":"PreTrainedTokenizerFast","add_bos_token":false})"));
}

}  // namespace
}  // namespace ropewalk::test
