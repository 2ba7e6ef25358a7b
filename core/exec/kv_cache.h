// kv_cache.h — the pages of the key-value cache, and the sequences that own them.
//
// A page holds kPageTokens tokens of every layer; its number is the same in all of them. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/abi/graph.h"

namespace ropewalk {

class KvCache;

// One sequence's pages. The destructor gives them back. REQUIRES: the cache outlives this.
class Sequence {
 public:
  explicit Sequence(KvCache& cache) : cache_(cache) {}
  ~Sequence();
  Sequence(const Sequence&) = delete;
  Sequence& operator=(const Sequence&) = delete;

  uint32_t length() const { return length_; }  // tokens whose keys and values are cached
  std::span<const uint32_t> pages() const { return pages_; }
  uint32_t context_length() const;  // the most that length() may be

  // Makes room for `tokens` more. Throws Error: limit where the context length would be passed,
  // out_of_memory where no page is free. On failure nothing changes.
  void reserve(uint32_t tokens);
  // Counts `tokens` more as cached. REQUIRES: reserved.
  void advance(uint32_t tokens) { length_ += tokens; }
  // Forgets all but the first `length` tokens. REQUIRES: length <= length().
  void truncate(uint32_t length);

 private:
  KvCache& cache_;
  std::vector<uint32_t> pages_;
  uint32_t length_ = 0;
};

class KvCache {
 public:
  // `context_length` is the max number of tokens in one sequence.
  KvCache(uint32_t pages, uint32_t context_length);

  uint32_t pages() const { return pages_; }
  uint32_t free_pages() const { return static_cast<uint32_t>(free_.size()); }
  uint32_t context_length() const { return context_length_; }
  uint32_t pages_per_sequence() const { return pages_for(context_length_); }

  static uint32_t pages_for(uint32_t tokens) {
    return (tokens + abi::kPageTokens - 1) / abi::kPageTokens;
  }

 private:
  friend class Sequence;

  uint32_t pages_;
  uint32_t context_length_;
  std::vector<uint32_t> free_;  // a stack: the page freed last is taken first
};

}  // namespace ropewalk
