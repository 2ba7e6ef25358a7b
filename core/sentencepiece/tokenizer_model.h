// tokenizer_model.h — what tokenizer.model says, checked before sentencepiece sees any of it.
//
// sentencepiece aborts or crashes on some malformed models, so the file is read here by a bounded
// walk, and the library is handed a model that is written anew from the checked parts alone. Values
// only; free of any file access, so that it can be fuzzed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk {

// Numbered as in sentencepiece_model.proto, ModelProto.SentencePiece.Type.
enum class PieceType : uint8_t {
  normal = 1,
  unknown = 2,       // stands for what the vocabulary cannot spell
  control = 3,       // <s>, </s>: never the result of text
  user_defined = 4,  // matched in the text before anything is merged
  unused = 5,
  byte = 6,  // <0x00> to <0xFF>
};

struct ModelPiece {
  std::string text;  // UTF-8, a space written as U+2581
  float score;       // the higher is merged first, equal ones from the left
  PieceType type;
};

struct TokenizerModel {
  std::vector<ModelPiece> pieces;  // by id
  int32_t unk_id = 0;
  std::string bos_piece = "<s>", eos_piece = "</s>";  // names; whether they exist is not checked
  std::string unk_surface = " \xe2\x81\x87 ";         // what the unknown piece decodes to
  bool byte_fallback = false;    // unknown characters are spelt with all 256 byte pieces
  bool add_dummy_prefix = true;  // a text is tokenised as if it began with a space
};

// The piece of the byte `value`: "<0x0A>"; and back.
// REQUIRES (piece_byte): `piece` is one of byte_piece()'s.
std::string byte_piece(uint8_t value);
uint8_t piece_byte(std::string_view piece);

// Reads sentencepiece's ModelProto (sentencepiece, src/sentencepiece_model.proto). Unknown fields
// are skipped. `file` names it in messages. Throws Error (model) for anything that is malformed,
// for models other than BPE, and for normalisation other than Llama's (none at all).
TokenizerModel parse_tokenizer_model(std::string_view bytes, std::string_view file);

// The same model as sentencepiece's bytes, without the dummy prefix, which core/text adds itself.
std::string serialize_for_sentencepiece(const TokenizerModel& model);

}  // namespace ropewalk
