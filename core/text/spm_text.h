// spm_text.h — the encoder for a tokenizer.model: transformers' slow LlamaTokenizer.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "core/sentencepiece/tokenizer_model.h"
#include "core/text/text_encoder.h"
#include "core/text/tokenizer_config.h"

namespace ropewalk {

class SpmEncoder;

class SpmText final : public TextEncoder {
 public:
  // Throws Error (model) where sentencepiece refuses the model.
  SpmText(TokenizerModel model, const TokenizerConfig& config);
  ~SpmText() override;

  std::vector<int32_t> encode_text(std::string_view text, SpecialTokens special) const override;
  std::vector<int32_t> encode_segments(std::vector<Segment> segments) const override;
  void reserve(const AddedToken&) override {}  // no text that a user wrote yields an added token
  std::string_view file() const override { return "tokenizer.model"; }
  std::string_view kind() const override { return "sentencepiece BPE"; }
  std::optional<int32_t> unknown_id() const override { return model_.unk_id; }
  std::vector<DecodedName> texts() const override;

 private:
  void append_plain(std::string_view text, std::vector<int32_t>& ids) const;
  bool is_stray_space(const std::vector<int32_t>& ids) const;

  TokenizerModel model_;
  bool legacy_, add_prefix_space_;
  std::vector<int32_t> byte_ids_;  // by byte; the unknown token where there is no byte piece
  int32_t space_id_ = -1;          // of the piece that is a single space; -1: none
  std::unique_ptr<SpmEncoder> encoder_;
};

}  // namespace ropewalk
