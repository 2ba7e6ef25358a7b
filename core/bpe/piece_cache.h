// piece_cache.h — the pieces of one text that were encoded already: most are words, and words come
// again.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <string_view>
#include <vector>

#include "core/bpe/hash_tables.h"

namespace ropewalk {

// Holds views into the text and places in the list of its ids, and so serves one of each.
class PieceCache {
 public:
  struct Slot {
    std::string_view piece = {};
    size_t first = 0, count = 0;  // in the list of ids
  };

  explicit PieceCache(size_t text_size)
      : slots_(std::bit_ceil(std::clamp<size_t>(text_size / 8, 16, size_t{1} << 16))) {}

  // Where the piece is, or may be put in place of another one. Two pieces that share a slot cost
  // time and nothing else, however a text was made.
  Slot& slot(std::string_view piece) { return slots_[seeded_hash(piece) & (slots_.size() - 1)]; }

 private:
  std::vector<Slot> slots_;
};

}  // namespace ropewalk
