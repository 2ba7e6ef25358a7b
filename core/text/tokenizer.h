// tokenizer.h — text to token ids and back, as transformers' slow LlamaTokenizer does it
// (src/transformers/models/llama/tokenization_llama.py).
//
// Owns the vocabulary. Const after construction and then safe to share between threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/sentencepiece/tokenizer_model.h"
#include "core/text/added_tokens.h"
#include "core/text/tokenizer_config.h"

namespace ropewalk {

class SpmEncoder;

// What a name such as "</s>" in a text means.
enum class SpecialTokens {
  as_text,  // its characters: for everything that a user wrote
  parse,    // the token: for text that a program made
};

// What one id adds to the text. Bytes of several ids may form one character.
struct TokenText {
  std::string_view bytes;  // empty for <s> and other special tokens; valid as long as the Tokenizer
  bool spaced = false;     // begins with the space that the tokenizer puts in front of a text
};

class Tokenizer {
 public:
  // Reads tokenizer.model and the JSON files beside it (not tokenizer.json, which says the same for
  // another library). `legacy` overrides tokenizer_config.json's.
  // Throws Error (model) naming file and field; where only tokenizer.json is present, it says so.
  static Tokenizer open(const std::filesystem::path& model_dir, std::optional<bool> legacy);

  Tokenizer(TokenizerModel model, TokenizerConfig config);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // Ids of `text`, without BOS. No text yields a control token unless `special` asks for it. Bytes
  // that are not UTF-8 become byte tokens where the vocabulary has them, so that they survive
  // decode(); otherwise the unknown token. Throws Error (limit) for more than 16 MiB, or 1 MiB
  // on end in which every pair of characters occurs in some piece.
  std::vector<int32_t> encode_text(std::string_view text, SpecialTokens special) const;

  // Ids of segments that stand for one text, in which tokens are recognised already. The rule for
  // the space in front of a text after a token is legacy()'s.
  std::vector<int32_t> encode_segments(std::vector<Segment> segments) const;

  // The text of `ids`: special tokens are invisible, the space that encode_text() put in front is
  // removed, bytes that form no character become U+FFFD each. Ids outside the vocabulary are
  // invisible.
  std::string decode(std::span<const int32_t> ids) const;
  TokenText text_of(int32_t id) const;

  // One more than the greatest id, added tokens included. The model may have more rows; they have
  // no text and must not be sampled.
  uint32_t vocab_size() const { return static_cast<uint32_t>(texts_.size()); }
  int32_t bos_id() const { return bos_->id; }
  int32_t eos_id() const { return eos_->id; }
  bool add_bos() const { return config_.add_bos; }
  bool legacy() const { return config_.legacy; }
  const AddedToken& bos() const { return *bos_; }
  const AddedToken& eos() const { return *eos_; }
  const AddedTokens& added() const { return added_; }

 private:
  void fill_texts();
  void append_plain(std::string_view text, std::vector<int32_t>& ids) const;
  bool is_stray_space(const std::vector<int32_t>& ids) const;

  TokenizerConfig config_;
  TokenizerModel model_;
  AddedTokens added_;
  const AddedToken* bos_;
  const AddedToken* eos_;
  std::vector<std::string> texts_;  // by id
  std::vector<bool> spaced_;        // by id
  std::vector<int32_t> byte_ids_;   // by byte; the unknown token where there is no byte piece
  int32_t space_id_ = -1;           // of the piece that is a single space; -1: none
  std::unique_ptr<SpmEncoder> encoder_;
};

}  // namespace ropewalk
