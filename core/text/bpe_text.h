// bpe_text.h — the encoder for a tokenizer.json.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "core/text/text_encoder.h"
#include "core/tokenizer_json/bpe_tokenizer.h"

namespace ropewalk {

class BpeText final : public TextEncoder {
 public:
  explicit BpeText(std::unique_ptr<BpeTokenizer> tokenizer);

  std::vector<int32_t> encode_text(std::string_view text, SpecialTokens special) const override;
  std::vector<int32_t> encode_segments(std::vector<Segment> segments) const override;
  void reserve(const AddedToken& token) override { tokenizer_->reserve(token.id); }
  std::string_view file() const override { return "tokenizer.json"; }
  std::string_view kind() const override {
    return tokenizer_->byte_level() ? "byte-level BPE" : "BPE";
  }
  std::optional<int32_t> unknown_id() const override;
  std::vector<DecodedName> texts() const override { return tokenizer_->texts(); }

 private:
  std::unique_ptr<BpeTokenizer> tokenizer_;
};

// The encoder of a tokenizer.json and what the files beside it say. `source` names the file in
// messages. Throws Error (model) naming file and field.
TextParts make_bpe_text(TokenizerJsonFile file, const SideFiles& beside, const JsonSource& source);

}  // namespace ropewalk
