// tokenizer.h — text to token ids and back, as transformers does it: of a tokenizer.model the slow
// LlamaTokenizer (src/transformers/models/llama/tokenization_llama.py), of a tokenizer.json the
// tokenizers library.
//
// Owns the vocabulary. Const after construction, reserve() and set_add_bos(), and then safe to
// share between threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/added_tokens.h"
#include "core/text/text_encoder.h"
#include "core/text/tokenizer_config.h"

namespace ropewalk {

// What one id adds to the text. Bytes of several ids may form one character.
struct TokenText {
  std::string_view bytes;  // empty for <s> and other special tokens; valid as long as the Tokenizer
  // How many of the spaces that they begin with the tokenizer put in front of a text itself, where
  // the token is its first.
  uint32_t spaced = 0;
};

// tokenizer.source, as this room sees it.
enum class TokenizerSource {
  automatic,      // tokenizer.model where it is sentencepiece's, else tokenizer.json
  json,           // tokenizer.json
  sentencepiece,  // tokenizer.model
};

struct TokenizerOptions {
  std::optional<bool> legacy = {};  // tokenizer.model: instead of tokenizer_config.json's
  TokenizerSource source = TokenizerSource::automatic;
};

class Tokenizer {
 public:
  // Reads tokenizer.model or tokenizer.json, and tokenizer_config.json, special_tokens_map.json and
  // added_tokens.json beside it. Throws Error (model) naming file and field.
  static Tokenizer open(const std::filesystem::path& model_dir, const TokenizerOptions& options);

  explicit Tokenizer(TextParts parts);
  // Of a tokenizer.model. Throws Error (model) where sentencepiece refuses it.
  Tokenizer(TokenizerModel model, TokenizerConfig config);

  // Ids of `text`, without BOS. No text yields a control token unless `special` asks for it. Bytes
  // that are not UTF-8 become byte tokens where the vocabulary has them, so that they survive
  // decode(); otherwise the unknown token. Throws Error (limit) for more than 16 MiB, or 1 MiB
  // on end in which every pair of characters occurs in some piece.
  std::vector<int32_t> encode_text(std::string_view text, SpecialTokens special) const;

  // Ids of segments that stand for one text, in which tokens are recognised already. The rule for
  // the space in front of a text after a token is legacy()'s or tokenizer.json's.
  std::vector<int32_t> encode_segments(std::vector<Segment> segments) const;

  // A text with the name of this token is text from here on, as if the token were special: for
  // those that a prompt format emits. Other added tokens of a tokenizer.json are found in any text.
  void reserve(std::string_view name);

  // The text of `ids`: special tokens are invisible, the space that encode_text() put in front is
  // removed, bytes that form no character become U+FFFD each. Ids outside the vocabulary are
  // invisible.
  std::string decode(std::span<const int32_t> ids) const;
  TokenText text_of(int32_t id) const;

  // One more than the greatest id, added tokens included. The model may have more rows; they have
  // no text and must not be sampled.
  uint32_t vocab_size() const { return static_cast<uint32_t>(texts_.size()); }
  std::string_view file() const { return encoder_->file(); }  // tokenizer.model or tokenizer.json
  std::string_view kind() const { return encoder_->kind(); }
  const AddedToken* bos() const { return bos_; }           // nullptr: the model has none
  const AddedToken* eos() const { return eos_; }           // the same
  int32_t bos_id() const { return bos_ ? bos_->id : -1; }  // -1: none
  int32_t eos_id() const { return eos_ ? eos_->id : -1; }
  // What stands for text that the vocabulary cannot spell; absent where it can spell all.
  std::optional<int32_t> unknown_id() const { return encoder_->unknown_id(); }
  bool add_bos() const { return add_bos_; }  // only where there is one
  // Whether prompts have no BOS even where a format emits it: add_bos_token is false.
  bool omits_bos() const { return omits_bos_; }
  // Instead of what the files say: prompts begin with BOS, or have none.
  void set_add_bos(bool add);
  bool legacy() const { return legacy_; }  // false with tokenizer.json
  const AddedTokens& added() const { return encoder_->added(); }

 private:
  std::unique_ptr<TextEncoder> encoder_;
  std::vector<DecodedName> texts_;  // by id
  const AddedToken* bos_;
  const AddedToken* eos_;
  bool add_bos_, omits_bos_, legacy_;
};

}  // namespace ropewalk
