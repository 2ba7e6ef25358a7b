#include "core/sentencepiece/tokenizer_model.h"

#include <fmt/format.h>

#include <bit>
#include <bitset>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "core/base/error.h"
#include "core/base/text_in_place.h"
#include "core/base/utf8.h"
#include "core/sentencepiece/protobuf.h"

namespace ropewalk {
namespace {

constexpr size_t kMaxFile = size_t{64} << 20;
constexpr size_t kMaxPieces = 1'000'000;
constexpr size_t kMaxPiece = size_t{64} << 10;
// sentencepiece undoes the merge of an unused piece by a recursion as deep as the piece is long.
constexpr size_t kMaxUnusedPiece = 1024;

constexpr char kDamaged[] = "The file is damaged or incomplete: download it again";
constexpr char kForeign[] = "Ropewalk reads Llama's sentencepiece BPE models";

// sentencepiece_model.proto, TrainerSpec.model_type
constexpr uint64_t kBpe = 2;
constexpr const char* kModelTypes[] = {"", "UNIGRAM", "BPE", "WORD", "CHAR"};

class Parser {
 public:
  explicit Parser(std::string_view file) : file_(file) {}

  TokenizerModel parse(std::string_view bytes);

 private:
  void piece(std::string_view bytes);
  void trainer(std::string_view bytes);
  void normalizer(std::string_view bytes);
  void denormalizer(std::string_view bytes);
  void finish();
  void check_piece(const ModelPiece& piece, const std::string& where);
  void check_unique(const ModelPiece& piece, std::string_view key, const std::string& where);
  void check_byte_piece(const ModelPiece& piece, const std::string& where);
  void expect_wire(const WireField& field, Wire wire, const std::string& where) const;
  [[noreturn]] void fail(std::string_view field, std::string_view what, const char* advice) const {
    throw Error(ExitCode::model, file_ + ": " + std::string(field), what, advice);
  }

  std::string file_;
  TokenizerModel model_;
  std::unordered_map<std::string_view, size_t> ids_;  // keys are views into the file's bytes
  std::bitset<256> bytes_;
  std::optional<int32_t> unknown_;
  uint64_t model_type_ = 1;  // proto default: UNIGRAM
  bool remove_extra_whitespaces_ = true, escape_whitespaces_ = true, space_as_suffix_ = false;
};

TokenizerModel Parser::parse(std::string_view bytes) {
  if (bytes.empty()) throw Error(ExitCode::model, file_, "the file is empty", kDamaged);
  if (bytes.size() > kMaxFile)
    throw Error(ExitCode::model, file_,
                fmt::format("found {} bytes, expected at most {}", bytes.size(), kMaxFile),
                kForeign);
  WireReader reader(bytes, file_);
  for (WireField field; reader.next(field);) {
    if (field.number < 1 || field.number > 5 || field.number == 4) continue;  // 4: self tests
    expect_wire(field, Wire::bytes, file_);
    if (field.number == 1) piece(field.bytes);
    if (field.number == 2) trainer(field.bytes);
    if (field.number == 3) normalizer(field.bytes);
    if (field.number == 5) denormalizer(field.bytes);
  }
  finish();
  return std::move(model_);
}

void Parser::expect_wire(const WireField& field, Wire wire, const std::string& where) const {
  if (field.wire != wire)
    throw Error(ExitCode::model, where,
                fmt::format("field {} has wire type {}, expected {}", field.number,
                            static_cast<uint32_t>(field.wire), static_cast<uint32_t>(wire)),
                kDamaged);
}

void Parser::piece(std::string_view bytes) {
  const std::string where = fmt::format("{}: pieces[{}]", file_, model_.pieces.size());
  if (model_.pieces.size() == kMaxPieces)
    throw Error(ExitCode::model, where, fmt::format("expected at most {} pieces", kMaxPieces),
                kForeign);
  ModelPiece piece{.text = {}, .score = 0, .type = PieceType::normal};
  std::string_view text;
  WireReader reader(bytes, where);
  for (WireField field; reader.next(field);) {
    if (field.number == 1) {
      expect_wire(field, Wire::bytes, where);
      text = field.bytes;
    } else if (field.number == 2) {
      expect_wire(field, Wire::fixed32, where);
      piece.score = std::bit_cast<float>(static_cast<uint32_t>(field.value));
    } else if (field.number == 3) {
      expect_wire(field, Wire::varint, where);
      if (field.value < 1 || field.value > 6)
        throw Error(ExitCode::model, where,
                    fmt::format("found type {}, expected 1 to 6", field.value), kDamaged);
      piece.type = static_cast<PieceType>(field.value);
    }
  }
  piece.text = text;
  check_piece(piece, where);
  check_unique(piece, text, where);
  model_.pieces.push_back(std::move(piece));
}

void Parser::check_piece(const ModelPiece& piece, const std::string& where) {
  const auto refuse = [&](std::string_view what) {
    throw Error(ExitCode::model, where, what, kDamaged);
  };
  const size_t limit = piece.type == PieceType::unused ? kMaxUnusedPiece : kMaxPiece;
  if (piece.text.empty()) refuse("the piece is empty");
  if (piece.text.size() > limit)
    refuse(fmt::format("found a piece of {} bytes, expected at most {}", piece.text.size(), limit));
  if (const size_t at = utf8_first_error(piece.text); at != std::string_view::npos)
    refuse(fmt::format("the piece \"{}\" is not UTF-8 at byte {}", printable(piece.text), at));
  if (!std::isfinite(piece.score))
    refuse(fmt::format("found score {}, expected a finite number", piece.score));
  if (piece.type == PieceType::byte) check_byte_piece(piece, where);
}

void Parser::check_unique(const ModelPiece& piece, std::string_view key, const std::string& where) {
  const size_t id = model_.pieces.size();
  const auto [first, fresh] = ids_.emplace(key, id);
  if (!fresh)
    throw Error(ExitCode::model, where,
                fmt::format("the piece \"{}\" is pieces[{}] already, expected each piece once",
                            printable(key), first->second),
                kDamaged);
  if (piece.type != PieceType::unknown) return;
  if (unknown_)
    throw Error(ExitCode::model, where,
                fmt::format("pieces[{}] is of type UNKNOWN already, expected one", *unknown_),
                kDamaged);
  unknown_ = static_cast<int32_t>(id);
}

void Parser::check_byte_piece(const ModelPiece& piece, const std::string& where) {
  const uint8_t value = piece.text.size() == 6 ? piece_byte(piece.text) : 0;
  if (piece.text != byte_piece(value))
    throw Error(ExitCode::model, where,
                fmt::format("found the byte piece \"{}\", expected <0x00> to <0xFF>",
                            printable(piece.text)),
                kDamaged);
  bytes_.set(value);
}

void Parser::trainer(std::string_view bytes) {
  const std::string where = file_ + ": trainer_spec";
  WireReader reader(bytes, where);
  for (WireField field; reader.next(field);) {
    const auto number = [&] {
      expect_wire(field, Wire::varint, where);
      return field.value;
    };
    const auto text = [&] {
      expect_wire(field, Wire::bytes, where);
      if (field.bytes.size() > kMaxPiece || utf8_first_error(field.bytes) != std::string_view::npos)
        throw Error(
            ExitCode::model, where,
            fmt::format("field {} is not UTF-8 of at most {} bytes", field.number, kMaxPiece),
            kDamaged);
      return std::string(field.bytes);
    };
    switch (field.number) {
      case 3:
        model_type_ = number();
        break;
      case 24:
        space_as_suffix_ = number() != 0;
        break;
      case 35:
        model_.byte_fallback = number() != 0;
        break;
      case 44:
        model_.unk_surface = text();
        break;
      case 46:
        model_.bos_piece = text();
        break;
      case 47:
        model_.eos_piece = text();
        break;
    }
  }
}

void Parser::normalizer(std::string_view bytes) {
  const std::string where = file_ + ": normalizer_spec";
  WireReader reader(bytes, where);
  for (WireField field; reader.next(field);) {
    if (field.number == 2) {
      expect_wire(field, Wire::bytes, where);
      if (!field.bytes.empty())
        fail("normalizer_spec.precompiled_charsmap",
             fmt::format("found a character map of {} bytes, expected none", field.bytes.size()),
             "Llama's tokenizers leave the text as it is; others are not supported");
    } else if (field.number >= 3 && field.number <= 5) {
      expect_wire(field, Wire::varint, where);
      if (field.number == 3) model_.add_dummy_prefix = field.value != 0;
      if (field.number == 4) remove_extra_whitespaces_ = field.value != 0;
      if (field.number == 5) escape_whitespaces_ = field.value != 0;
    }
  }
}

void Parser::denormalizer(std::string_view bytes) {
  const std::string where = file_ + ": denormalizer_spec";
  WireReader reader(bytes, where);
  for (WireField field; reader.next(field);) {
    if (field.number != 2) continue;
    expect_wire(field, Wire::bytes, where);
    if (!field.bytes.empty())
      fail("denormalizer_spec.precompiled_charsmap",
           fmt::format("found a character map of {} bytes, expected none", field.bytes.size()),
           "Llama's tokenizers leave the text as it is; others are not supported");
  }
}

void Parser::finish() {
  if (model_type_ != kBpe) {
    const bool known = model_type_ >= 1 && model_type_ < std::size(kModelTypes);
    fail("trainer_spec.model_type",
         fmt::format("found {}, expected BPE",
                     known ? kModelTypes[model_type_] : std::to_string(model_type_)),
         kForeign);
  }
  const auto expect_flag = [&](const char* field, bool found, bool expected) {
    if (found != expected)
      fail(field, fmt::format("found {}, expected {}", found, expected), kForeign);
  };
  expect_flag("trainer_spec.treat_whitespace_as_suffix", space_as_suffix_, false);
  expect_flag("normalizer_spec.remove_extra_whitespaces", remove_extra_whitespaces_, false);
  expect_flag("normalizer_spec.escape_whitespaces", escape_whitespaces_, true);
  if (!unknown_) fail("pieces", "no piece is of type UNKNOWN, expected one", kDamaged);
  model_.unk_id = *unknown_;
  if (model_.byte_fallback && !bytes_.all())
    fail("pieces", fmt::format("found {} byte pieces, expected 256", bytes_.count()), kDamaged);
  if (!model_.byte_fallback && bytes_.any())
    fail("trainer_spec.byte_fallback",
         fmt::format("found false with {} byte pieces, expected true", bytes_.count()), kDamaged);
}

}  // namespace

std::string byte_piece(uint8_t value) { return fmt::format("<0x{:02X}>", value); }

uint8_t piece_byte(std::string_view piece) {
  uint8_t value = 0;
  std::from_chars(piece.data() + 3, piece.data() + 5, value, 16);
  return value;
}

TokenizerModel parse_tokenizer_model(std::string_view bytes, std::string_view file) {
  if (begins_as_text(bytes))
    throw Error(ExitCode::model, file,
                fmt::format("is a text that begins with \"{}\", expected sentencepiece's model",
                            bytes.substr(0, 8)),
                kPageInPlace);
  return Parser(file).parse(bytes);
}

std::string serialize_for_sentencepiece(const TokenizerModel& model) {
  std::string out, spec;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const ModelPiece& piece = model.pieces[id];
    // Control pieces get names that no text can spell (they hold a control byte and are longer than
    // a character): sentencepiece would return one whose name is a single character for that text.
    const std::string text = piece.type == PieceType::control || piece.type == PieceType::unknown
                                 ? fmt::format("\x01{}\x01", id)
                                 : piece.text;
    std::string message;
    put_bytes_field(message, 1, text);
    put_float_field(message, 2, piece.score);
    put_varint_field(message, 3, static_cast<uint64_t>(piece.type));
    put_bytes_field(out, 1, message);
  }
  put_varint_field(spec, 3, kBpe);
  put_varint_field(spec, 35, model.byte_fallback);
  put_bytes_field(out, 2, spec);
  spec.clear();
  put_varint_field(spec, 3, 0);  // add_dummy_prefix
  put_varint_field(spec, 4, 0);  // remove_extra_whitespaces
  put_bytes_field(out, 3, spec);
  return out;
}

}  // namespace ropewalk
