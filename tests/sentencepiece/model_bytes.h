// model_bytes.h — small tokenizer.model files for tests, written field by field so that each of
// them can be wrong in one way.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/sentencepiece/protobuf.h"
#include "core/sentencepiece/tokenizer_model.h"

namespace ropewalk::test {

// As protobuf bytes: ModelProto.SentencePiece.
inline std::string piece_bytes(std::string_view text, float score, uint64_t type) {
  std::string message, field;
  put_bytes_field(message, 1, text);
  put_float_field(message, 2, score);
  put_varint_field(message, 3, type);
  put_bytes_field(field, 1, message);
  return field;
}

struct ModelBytes {
  // <unk>, <s>, </s>, the 256 bytes, then "▁", a, b, ab, "▁a".
  std::string pieces;
  std::string trainer;     // inside of trainer_spec
  std::string normalizer;  // inside of normalizer_spec
  std::string rest;        // after them

  static ModelBytes small() {
    ModelBytes model;
    model.pieces +=
        piece_bytes("<unk>", 0, 2) + piece_bytes("<s>", 0, 3) + piece_bytes("</s>", 0, 3);
    model.pieces += byte_pieces(256);
    constexpr const char* normal[] = {"\u2581", "a", "b", "ab", "\u2581a"};
    float score = 0;
    for (const char* text : normal) model.pieces += piece_bytes(text, score -= 1, 1);
    put_varint_field(model.trainer, 3, 2);   // model_type: BPE
    put_varint_field(model.trainer, 35, 1);  // byte_fallback
    put_varint_field(model.normalizer, 3, 1);
    put_varint_field(model.normalizer, 4, 0);  // remove_extra_whitespaces
    return model;
  }

  static std::string byte_pieces(unsigned count) {
    std::string bytes;
    for (unsigned value = 0; value < count; ++value)
      bytes += piece_bytes(byte_piece(static_cast<uint8_t>(value)), 0, 6);
    return bytes;
  }

  std::string bytes() const {
    std::string out = pieces;
    put_bytes_field(out, 2, trainer);
    put_bytes_field(out, 3, normalizer);
    return out + rest;
  }
};

}  // namespace ropewalk::test
