// vocabulary.h — the tokens of a tokenizer.json, by name and by id.
//
// Const after construction and then safe to share between threads.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/bpe/bpe_model.h"
#include "core/bpe/hash_tables.h"
#include "core/json/json_fwd.h"

namespace ropewalk {

class BpeVocabulary {
 public:
  // Throws Error (model): two tokens with one id, an unk_token that is no token.
  BpeVocabulary(BpeModel model, const JsonSource& source);
  BpeVocabulary(const BpeVocabulary&) = delete;  // its tables point into it
  BpeVocabulary& operator=(const BpeVocabulary&) = delete;

  const BpeModel& model() const { return model_; }
  int32_t find(std::string_view name) const { return names_.find(name); }  // -1: none
  std::string_view name_of(int32_t id) const;                              // empty: none
  int32_t unknown() const { return unknown_; }                             // -1: none
  // One more than the max id.
  size_t rows() const { return by_id_.size(); }

 private:
  BpeModel model_;
  NameTable names_;
  std::vector<TokenName> by_id_;  // empty names: no token
  int32_t unknown_ = -1;
};

}  // namespace ropewalk
