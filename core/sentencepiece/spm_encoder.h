// spm_encoder.h — sentencepiece's BPE behind a door of our own; the only file that includes it.
//
// Const after construction and then safe to share between threads.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "core/sentencepiece/tokenizer_model.h"

namespace ropewalk {

class SpmEncoder {
 public:
  // Throws Error (model) where sentencepiece refuses the checked model.
  explicit SpmEncoder(const TokenizerModel& model);
  ~SpmEncoder();

  // Appends the ids of `text`, without a space in front.
  //
  // sentencepiece takes 1 s and 240 MB for a megabyte, all at once, so the text is given to it in
  // stretches. A cut between two characters that no piece of the vocabulary holds side by side is
  // one that no merge crosses: the ids are the same as without it. Most stretches are words, and
  // those that come again are not encoded again. Throws Error (limit) for a stretch beyond 1 MiB.
  // REQUIRES: `text` is UTF-8.
  void append(std::string_view text, std::vector<int32_t>& ids) const;

 private:
  struct Impl;

  size_t stretch_length(std::string_view text) const;

  std::unique_ptr<Impl> impl_;
  std::unordered_set<uint64_t> pairs_;  // of neighbouring code points in some piece
  bool may_cut_;
};

}  // namespace ropewalk
