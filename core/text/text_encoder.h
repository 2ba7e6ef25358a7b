// text_encoder.h — what makes ids of text: one class for each kind of vocabulary.
//
// Const after reserve() and then safe to share between threads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/text/added_tokens.h"
#include "core/text/tokenizer_config.h"
#include "core/tokenizer_json/decoder.h"

namespace ropewalk {

// What a name such as "</s>" in a text means.
enum class SpecialTokens {
  as_text,  // its characters: for everything that a user wrote
  parse,    // the token: for text that a program made
};

class TextEncoder {
 public:
  virtual ~TextEncoder() = default;

  // See Tokenizer, whose functions of the same names they are.
  virtual std::vector<int32_t> encode_text(std::string_view text, SpecialTokens special) const = 0;
  virtual std::vector<int32_t> encode_segments(std::vector<Segment> segments) const = 0;
  virtual void reserve(const AddedToken& token) = 0;

  virtual std::string_view file() const = 0;  // the file that it was made of
  virtual std::string_view kind() const = 0;  // of its vocabulary, for people

  virtual std::optional<int32_t> unknown_id() const = 0;  // what it cannot spell; absent: it can

  // By id, what it adds to a text; nothing for special tokens.
  virtual std::vector<DecodedName> texts() const = 0;

  const AddedTokens& added() const { return added_; }

 protected:
  explicit TextEncoder(std::vector<AddedToken> added) : added_(std::move(added)) {}

 private:
  AddedTokens added_;
};

// An encoder and what the files beside its own say.
struct TextParts {
  std::unique_ptr<TextEncoder> encoder;
  TokenizerConfig config;
};

}  // namespace ropewalk
