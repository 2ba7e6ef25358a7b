// tokenizer_json.h — what a tokenizer.json says, as the file has it: vocabulary and merges in flat
// tables, the small rest as a tree for the readers of its parts. Values only, free of file access.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/bpe/bpe_model.h"
#include "core/json/json.h"
#include "core/tokenizer_json/added_token.h"

namespace ropewalk {

struct TokenizerJsonFile {
  BpeModel model;
  std::vector<AddedToken> added;  // ids below kMaxBeyond + the vocabulary's size
  Json normalizer, pre_tokenizer, post_processor, decoder;  // null: none
};

// Every id gets a row in the table of texts, so a file must not name one far outside.
inline constexpr uint64_t kMaxBeyondVocabulary = 1'000'000;

// One pass over `text`; of the file's size at most a few times is held. Throws Error (the source's
// code) naming field and value: not JSON, a model that is not BPE, ids that are no ids, and more
// than 1,000,000 tokens, 2,000,000 merges or 10,000 added tokens, names above 64 KiB. Whether
// merges and added tokens fit the vocabulary is checked by BpeTokenizer.
// Format: huggingface/tokenizers, src/tokenizer/serialization.rs and models/bpe/serialization.rs.
TokenizerJsonFile parse_tokenizer_json(std::string_view text, const JsonSource& source);

}  // namespace ropewalk
