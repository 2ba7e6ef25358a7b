// tokenizer_config.h — what the JSON files beside a vocabulary say: tokenizer_config.json,
// special_tokens_map.json and added_tokens.json. Values only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/bpe/vocabulary.h"
#include "core/json/json_fields.h"
#include "core/sentencepiece/tokenizer_model.h"
#include "core/text/added_tokens.h"
#include "core/tokenizer_json/template.h"

namespace ropewalk {

struct TokenizerConfig {
  // transformers' LlamaTokenizer: whether the text after a special token is tokenised as if it
  // began with a space. Absent means true.
  bool legacy = true;
  bool add_bos = true;
  bool omits_bos = false;                 // add_bos_token: false; a format's BOS is left out too
  bool add_prefix_space = true;           // read only where legacy is false
  std::string bos = "<s>", eos = "</s>";  // empty: the model has none (tokenizer.json only)
  std::vector<AddedToken> added;          // the special tokens included; ids checked, names unique
};

// The text of the three files beside the vocabulary; nullopt where there is no such file.
struct SideFiles {
  std::optional<std::string> tokenizer_config, special_tokens_map, added_tokens;
  std::filesystem::path folder = {};  // for errors

  JsonSource source(const char* name) const { return {(folder / name).string(), ExitCode::model}; }
};

// Reads as transformers' slow tokenizer does (src/transformers/tokenization_utils_base.py,
// _from_pretrained): where tokenizer_config.json has an added_tokens_decoder, the other two files
// are not consulted. A special token that is nowhere in the vocabulary gets the next free id.
// Throws Error (model) naming file and field.
TokenizerConfig parse_tokenizer_config(const SideFiles& json, const TokenizerModel& model);

// What a tokenizer.json says of the same.
struct BpeFacts {
  const BpeVocabulary& vocabulary;
  std::vector<AddedToken> added;
  std::optional<TemplateToken> front;  // of its post_processor
};

// Reads as transformers' PreTrainedTokenizerFast does
// (src/transformers/tokenization_utils_fast.py): tokens beside `facts.added` are added,
// added_tokens_decoder changes the flags of those; every named token is special. BOS is added where
// the template says so, and for the Llama classes where add_bos_token does
// (models/llama/tokenization_llama_fast.py). `source` is tokenizer.json's. Throws Error (model)
// naming file and field, also for two tokens with one id.
TokenizerConfig parse_bpe_config(const SideFiles& json, BpeFacts facts, const JsonSource& source);

}  // namespace ropewalk
