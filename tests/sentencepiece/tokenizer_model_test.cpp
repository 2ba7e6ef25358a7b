#include "core/sentencepiece/tokenizer_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>

#include "core/base/error.h"
#include "core/sentencepiece/spm_encoder.h"
#include "tests/error_of.h"
#include "tests/sentencepiece/model_bytes.h"

namespace ropewalk::test {
namespace {

using ::testing::HasSubstr;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

std::string varint_field(uint32_t number, uint64_t value) {
  std::string out;
  put_varint_field(out, number, value);
  return out;
}

std::string bytes_field(uint32_t number, std::string_view bytes) {
  std::string out;
  put_bytes_field(out, number, bytes);
  return out;
}

TEST(TokenizerModel, ReadsPiecesAndFlags) {
  const TokenizerModel model = parse_tokenizer_model(ModelBytes::small().bytes(), "t.model");
  ASSERT_EQ(model.pieces.size(), 264u);
  EXPECT_EQ(model.unk_id, 0);
  EXPECT_TRUE(model.byte_fallback);
  EXPECT_TRUE(model.add_dummy_prefix);
  EXPECT_EQ(model.pieces[262].text, "ab");
  EXPECT_EQ(model.pieces[262].score, -4.0f);
  EXPECT_EQ(model.pieces[262].type, PieceType::normal);
  EXPECT_EQ(model.pieces[3 + 0x0a].text, "<0x0A>");
}

struct BadModel {
  const char* name;
  std::function<void(ModelBytes&)> spoil;
  const char* where;
  const char* what;
};

void PrintTo(const BadModel& bad, std::ostream* out) { *out << bad.name; }

class BadTokenizerModel : public testing::TestWithParam<BadModel> {};

TEST_P(BadTokenizerModel, IsRefusedByFileAndField) {
  ModelBytes model = ModelBytes::small();
  GetParam().spoil(model);
  expect_error(ExitCode::model,
               testing::AllOf(testing::StartsWith("t.model"), HasSubstr(GetParam().where),
                              HasSubstr(GetParam().what)),
               [&] { parse_tokenizer_model(model.bytes(), "t.model"); });
}

void add_piece(ModelBytes& model, std::string_view text, float score, uint64_t type) {
  model.pieces += piece_bytes(text, score, type);
}

const BadModel kBadModels[] = {
    {"empty",
     [](ModelBytes& m) {
       m = {};
       m.trainer.clear();
       m.rest = "\x0a";
     },
     "t.model", "ends early"},
    {"varint_of_11_bytes",
     [](ModelBytes& m) { m.rest = "\x78" + std::string(10, '\xff') + "\x01"; }, "t.model",
     "a varint of more than 64 bits"},
    {"varint_beyond_64_bits",
     [](ModelBytes& m) { m.rest = "\x78" + std::string(9, '\xff') + "\x02"; }, "t.model",
     "a varint of more than 64 bits"},
    {"length_beyond_file", [](ModelBytes& m) { m.rest = "\x0a\xff\x01"; }, "t.model",
     "found 0 bytes, expected 255"},
    {"length_of_2_to_63", [](ModelBytes& m) { m.rest = "\x0a" + std::string(8, '\x80') + "\x40"; },
     "t.model", "ends early"},
    {"piece_of_wrong_wire_type", [](ModelBytes& m) { m.rest = varint_field(1, 7); }, "t.model",
     "field 1 has wire type 0, expected 2"},
    {"text_of_wrong_wire_type",
     [](ModelBytes& m) { m.pieces += bytes_field(1, varint_field(1, 7)); }, "pieces[264]",
     "field 1 has wire type 0, expected 2"},
    {"score_of_wrong_wire_type",
     [](ModelBytes& m) { m.pieces += bytes_field(1, varint_field(2, 7)); }, "pieces[264]",
     "field 2 has wire type 0, expected 5"},
    {"model_type_of_wrong_wire_type", [](ModelBytes& m) { m.trainer = bytes_field(3, "BPE"); },
     "trainer_spec", "field 3 has wire type 2, expected 0"},
    {"group", [](ModelBytes& m) { m.rest = "\x0b\x0c"; }, "t.model", "wire type 3"},
    {"group_end", [](ModelBytes& m) { m.rest = "\x0c"; }, "t.model", "wire type 4"},
    {"wire_type_7", [](ModelBytes& m) { m.rest = "\x0f"; }, "t.model", "wire type 7"},
    {"field_0", [](ModelBytes& m) { m.rest = std::string("\x00\x00", 2); }, "t.model",
     "field number 0"},
    {"no_unknown", [](ModelBytes& m) { m.pieces = ModelBytes::byte_pieces(256); }, "pieces",
     "no piece is of type UNKNOWN"},
    {"two_unknowns", [](ModelBytes& m) { add_piece(m, "<unk2>", 0, 2); }, "pieces[264]",
     "pieces[0] is of type UNKNOWN already"},
    {"duplicate", [](ModelBytes& m) { add_piece(m, "ab", 0, 1); }, "pieces[264]",
     "\"ab\" is pieces[262] already"},
    {"duplicate_of_control", [](ModelBytes& m) { add_piece(m, "</s>", 0, 1); }, "pieces[264]",
     "is pieces[2] already"},
    {"empty_piece", [](ModelBytes& m) { add_piece(m, "", 0, 1); }, "pieces[264]", "is empty"},
    {"piece_of_1_MB", [](ModelBytes& m) { add_piece(m, std::string(1 << 20, 'a'), 0, 1); },
     "pieces[264]", "found a piece of 1048576 bytes, expected at most 65536"},
    {"long_unused_piece", [](ModelBytes& m) { add_piece(m, std::string(1025, 'a'), 0, 5); },
     "pieces[264]", "expected at most 1024"},
    {"byte_minus_1", [](ModelBytes& m) { add_piece(m, "<0x-1>", 0, 6); }, "pieces[264]",
     "found the byte piece \"<0x-1>\""},
    {"byte_ZZ", [](ModelBytes& m) { add_piece(m, "<0xZZ>", 0, 6); }, "pieces[264]", "<0xZZ>"},
    {"byte_of_one_digit", [](ModelBytes& m) { add_piece(m, "<0x1>", 0, 6); }, "pieces[264]",
     "<0x1>"},
    {"byte_in_small_letters", [](ModelBytes& m) { add_piece(m, "<0x0a>", 0, 6); }, "pieces[264]",
     "<0x0a>"},
    {"255_bytes",
     [](ModelBytes& m) { m.pieces = piece_bytes("<unk>", 0, 2) + ModelBytes::byte_pieces(255); },
     "pieces", "found 255 byte pieces, expected 256"},
    {"byte_fallback_off", [](ModelBytes& m) { m.trainer += varint_field(35, 0); },
     "trainer_spec.byte_fallback", "found false with 256 byte pieces"},
    {"score_nan", [](ModelBytes& m) { add_piece(m, "x", kNan, 1); }, "pieces[264]", "score nan"},
    {"score_inf", [](ModelBytes& m) { add_piece(m, "x", -kInf, 1); }, "pieces[264]", "score -inf"},
    {"piece_not_utf8", [](ModelBytes& m) { add_piece(m, "a\xff", 0, 1); }, "pieces[264]",
     "\"a\\xff\" is not UTF-8 at byte 1"},
    {"piece_surrogate", [](ModelBytes& m) { add_piece(m, "\xed\xa0\x80", 0, 1); }, "pieces[264]",
     "not UTF-8 at byte 0"},
    {"type_0", [](ModelBytes& m) { add_piece(m, "x", 0, 0); }, "pieces[264]", "found type 0"},
    {"type_7", [](ModelBytes& m) { add_piece(m, "x", 0, 7); }, "pieces[264]", "found type 7"},
    {"unigram", [](ModelBytes& m) { m.trainer += varint_field(3, 1); }, "trainer_spec.model_type",
     "found UNIGRAM, expected BPE"},
    {"no_model_type", [](ModelBytes& m) { m.trainer = varint_field(35, 1); },
     "trainer_spec.model_type", "found UNIGRAM"},
    {"unknown_model_type", [](ModelBytes& m) { m.trainer += varint_field(3, 9); },
     "trainer_spec.model_type", "found 9, expected BPE"},
    {"charsmap", [](ModelBytes& m) { m.normalizer += bytes_field(2, "abcd"); },
     "normalizer_spec.precompiled_charsmap", "found a character map of 4 bytes, expected none"},
    {"denormalizer_charsmap",
     [](ModelBytes& m) { m.rest = bytes_field(5, bytes_field(2, "abcd")); },
     "denormalizer_spec.precompiled_charsmap", "found a character map of 4 bytes"},
    {"collapses_spaces", [](ModelBytes& m) { m.normalizer += varint_field(4, 1); },
     "normalizer_spec.remove_extra_whitespaces", "found true, expected false"},
    {"bare_spaces", [](ModelBytes& m) { m.normalizer += varint_field(5, 0); },
     "normalizer_spec.escape_whitespaces", "found false, expected true"},
    {"space_as_suffix", [](ModelBytes& m) { m.trainer += varint_field(24, 1); },
     "trainer_spec.treat_whitespace_as_suffix", "found true, expected false"},
    {"unk_surface_not_utf8", [](ModelBytes& m) { m.trainer += bytes_field(44, "\xff"); },
     "trainer_spec", "field 44 is not UTF-8"},
};

INSTANTIATE_TEST_SUITE_P(H, BadTokenizerModel, testing::ValuesIn(kBadModels),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(TokenizerModel, AnEmptyFileIsRefused) {
  EXPECT_THROW(parse_tokenizer_model("", "t.model"), Error);
}

TEST(TokenizerModel, AcceptsWhatGoodModelsHold) {
  ModelBytes model = ModelBytes::small();
  model.pieces += piece_bytes(std::string_view("\0", 1), -9, 1);          // a NUL
  model.pieces += piece_bytes("tie", -9, 1) + piece_bytes("eti", -9, 1);  // equal scores
  model.pieces += piece_bytes("<|x|>", 0, 4) + piece_bytes("spare", 0, 5);
  model.rest += bytes_field(4, "self tests") + varint_field(200, 5) + bytes_field(201, "extension");
  model.trainer += bytes_field(1, "input.txt") + bytes_field(10, "unknown field");
  const TokenizerModel parsed = parse_tokenizer_model(model.bytes(), "t.model");
  EXPECT_EQ(parsed.pieces.size(), 269u);
  const SpmEncoder encoder(parsed);
  std::vector<int32_t> ids;
  encoder.append(std::string_view("a\0b", 3), ids);
  EXPECT_THAT(ids, testing::ElementsAre(260, 264, 261));
}

// Whatever the file is cut to, the reader answers, and sentencepiece is only shown what was
// checked.
TEST(TokenizerModel, EveryTruncationIsReadOrRefused) {
  const std::string whole = ModelBytes::small().bytes();
  size_t refused = 0;
  for (size_t size = 0; size < whole.size(); ++size) {
    try {
      SpmEncoder encoder(parse_tokenizer_model(whole.substr(0, size), "t.model"));
    } catch (const Error& error) {
      ++refused;
      EXPECT_EQ(error.code(), ExitCode::model);
    }
  }
  EXPECT_EQ(refused, whole.size());  // the flags stand at the end of it
}

TEST(TokenizerModel, EveryFlippedByteOfTheBundledModelIsReadOrRefused) {
  std::ifstream file(RW_SOURCE_DIR "/models/airophin-mini/tokenizer.model", std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(file), {}};
  ASSERT_GT(whole.size(), 10000u);
  for (size_t i = 0; i < whole.size(); i += 97) {
    std::string spoiled = whole;
    spoiled[i] = static_cast<char>(~spoiled[i]);
    try {
      const SpmEncoder encoder(parse_tokenizer_model(spoiled, "t.model"));
      std::vector<int32_t> ids;
      encoder.append("BEGININPUT the end", ids);
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace ropewalk::test
