// tokenizer_config.h — what the JSON files beside tokenizer.model say: tokenizer_config.json,
// special_tokens_map.json and added_tokens.json. Values only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/sentencepiece/tokenizer_model.h"
#include "core/text/added_tokens.h"

namespace ropewalk {

struct TokenizerConfig {
  // transformers' LlamaTokenizer: whether the text after a special token is tokenised as if it
  // began with a space. Absent means true.
  bool legacy = true;
  bool add_bos = true;
  bool add_prefix_space = true;  // read only where legacy is false
  std::string bos = "<s>", eos = "</s>";
  std::vector<AddedToken> added;  // the special tokens included; ids checked, names unique
};

// The three files' text; nullopt where the file does not exist.
struct TokenizerJson {
  std::optional<std::string> tokenizer_config, special_tokens_map, added_tokens;
};

// Reads as transformers' slow tokenizer does (src/transformers/tokenization_utils_base.py,
// _from_pretrained): where tokenizer_config.json has an added_tokens_decoder, the other two files
// are not consulted. A special token that is nowhere in the vocabulary gets the next free id.
// Throws Error (model) naming file and field.
TokenizerConfig parse_tokenizer_config(const TokenizerJson& json, const TokenizerModel& model);

}  // namespace ropewalk
