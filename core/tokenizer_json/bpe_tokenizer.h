// bpe_tokenizer.h — text to ids as the tokenizers library makes them from a tokenizer.json.
//
//   text -- added tokens -- normaliser -- normalised added tokens -- pre-tokeniser -- merges -->
//   ids
//
// Const after reserve() and then safe to share between threads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "core/bpe/vocabulary.h"
#include "core/tokenizer_json/added_token.h"
#include "core/tokenizer_json/decoder.h"
#include "core/tokenizer_json/normalizer.h"
#include "core/tokenizer_json/tokenizer_json.h"

namespace ropewalk {

// Which names in a text are tokens.
enum class FindAdded {
  all,
  plain,  // neither special nor reserved: for what a user wrote
};

class BpeTokenizer {
 public:
  // `added` are the file's added tokens and those of the files beside it. Throws Error (model) for
  // components that are not supported and tables that do not fit, naming field and value.
  BpeTokenizer(std::unique_ptr<const BpeVocabulary> vocabulary, const TokenizerJsonFile& file,
               std::vector<AddedToken> added, const JsonSource& source);
  ~BpeTokenizer();

  // Appends the ids of `text`. Bytes that are not UTF-8 become byte tokens where there are any,
  // else the unknown token. Throws Error (limit) as MergeEncoder::append() and Pattern::find() do.
  void append(std::string_view text, FindAdded find, TextPlace place,
              std::vector<int32_t>& ids) const;

  // From here on the name is plain text where a user wrote it.
  void reserve(int32_t id) { reserved_.insert(id); }

  const std::vector<AddedToken>& added() const { return added_; }
  const BpeVocabulary& vocabulary() const { return *vocabulary_; }
  bool byte_level() const;  // the characters of its names stand for bytes
  // By id, what a token adds to a text: nothing where it is special, or none.
  std::vector<DecodedName> texts() const;
  // Whether a user's text may yield the id even if it is special: bytes and the unknown token.
  bool is_spelled(int32_t id) const;

 private:
  struct Parts;

  void append_valid(std::string_view text, FindAdded find, TextPlace place,
                    std::vector<int32_t>& ids) const;
  void append_plain(std::string text, TextPlace place, std::vector<int32_t>& ids) const;

  std::unique_ptr<const BpeVocabulary> vocabulary_;
  std::vector<AddedToken> added_;
  std::unique_ptr<const Parts> parts_;
  std::unordered_set<int32_t> reserved_;
};

}  // namespace ropewalk
