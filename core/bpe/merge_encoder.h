// merge_encoder.h — the ids of one piece of text: byte-pair encoding as tokenizers' models::BPE
// does it (src/models/bpe/model.rs).
//
// Const after construction and then safe to share between threads.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "core/bpe/hash_tables.h"
#include "core/bpe/piece_cache.h"
#include "core/bpe/vocabulary.h"

namespace ropewalk {

struct MergeOptions {
  bool byte_level;  // the names' characters stand for bytes
  // Ids that no text yields. Bytes and the unknown token stay text all the same.
  std::unordered_set<int32_t> never = {};
};

class MergeEncoder {
 public:
  // Throws Error (model) naming the merge or the token: names that are not in the vocabulary, a
  // common byte without a token. Texts lose other bytes without one, as tokenizers has it
  // (SmolLM2's vocabulary lacks 21 that its training texts had not).
  // REQUIRES: `vocabulary` outlives this.
  MergeEncoder(const BpeVocabulary& vocabulary, MergeOptions options, const JsonSource& source);

  // Appends the ids of `piece`. Throws Error (limit) for a megabyte on end in which every pair of
  // characters occurs in some token.
  // REQUIRES: `piece` is UTF-8 and not empty, a view into the cache's text, and `ids` its list.
  void append(std::string_view piece, std::vector<int32_t>& ids, PieceCache& cache) const;
  // Appends the token of a byte that is no part of a character: the unknown one, or none, where
  // bytes have no tokens.
  void append_byte(uint8_t byte, std::vector<int32_t>& ids) const;

  // Whether a text may yield the id though it is among `never`: a byte, or the unknown token.
  bool is_spelled(int32_t id) const;

 private:
  void read_bytes(const JsonSource& source);
  void read_merges(const JsonSource& source);
  void read_pairs();
  int32_t spelled(std::string_view name) const;  // -1: none that a text may yield
  size_t stretch_length(std::string_view piece) const;
  void append_stretch(std::string_view stretch, std::vector<int32_t>& ids, PieceCache& cache) const;
  void append_characters(std::string_view stretch, std::vector<int32_t>& ids) const;

  const BpeVocabulary& vocabulary_;
  const BpeModel& model_;
  MergeOptions options_;
  MergeTable merges_;
  std::array<int32_t, 256> bytes_ = {};  // -1: none
  std::array<int32_t, 128> ascii_ = {};  // characters' tokens, not bytes'; -1: none
  // Whether two code points are neighbours in some token, by hash: now and then true where not.
  bool may_be_pair(uint32_t left, uint32_t right) const {
    return pairs_[seeded_pair_hash(seed_, left, right) & (pairs_.size() - 1)];
  }
  uint64_t seed_ = hash_seed();
  std::vector<bool> pairs_;  // a power of two
  bool may_cut_ = false;
};

}  // namespace ropewalk
