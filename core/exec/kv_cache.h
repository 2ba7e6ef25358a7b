// kv_cache.h — the pages of the key-value cache, and the sequences that use them.
//
// A page holds page_tokens() tokens of every layer; its number is the same in all of them. Pages
// have users: sequences, and the prefix cache. A page with several users is full and never written
// to; one without a user is free. Not thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "core/abi/kv_page.h"

namespace ropewalk {

class KvCache;

// One sequence's pages. The destructor stops using them. REQUIRES: the cache outlives this.
class Sequence {
 public:
  explicit Sequence(KvCache& cache);
  ~Sequence();
  Sequence(const Sequence&) = delete;
  Sequence& operator=(const Sequence&) = delete;

  uint32_t length() const { return length_; }  // tokens whose keys and values are cached
  std::span<const uint32_t> pages() const { return pages_; }
  uint32_t capacity() const;  // the most that length() may be

  // Which of the model's adapters computes its keys and values; abi::kNoAdapter: none. At first the
  // cache's default.
  uint32_t adapter() const { return adapter_; }
  // REQUIRES: nothing is cached.
  void set_adapter(uint32_t adapter) { adapter_ = adapter; }

  // Uses the pages that another sequence has filled as its own first ones. REQUIRES: it is empty.
  void adopt(std::span<const uint32_t> pages);
  // Uses `page`, which holds the same tokens, in place of its page `index`.
  void replace(uint32_t index, uint32_t page);
  // How many pages reserve() would take.
  uint32_t missing_pages(uint32_t tokens) const;
  // Makes room for `tokens` more. Throws Error: limit where the context length would be passed,
  // out_of_memory where no page is free. On failure nothing changes.
  void reserve(uint32_t tokens);
  // Counts `tokens` more as cached. REQUIRES: reserved.
  void advance(uint32_t tokens) { length_ += tokens; }
  // Forgets all but the first `length` tokens. A shared page that the sequence would write to is
  // given up as a whole. Returns how many tokens are kept. REQUIRES: length <= length().
  uint32_t truncate(uint32_t length);

 private:
  KvCache& cache_;
  uint32_t adapter_;
  std::vector<uint32_t> pages_;
  uint32_t length_ = 0;
};

class KvCache {
 public:
  // `context_length` is the max number of tokens in one sequence, if the pages hold them.
  KvCache(uint32_t pages, uint32_t page_tokens, uint32_t context_length);

  uint32_t pages() const { return pages_; }
  uint32_t page_tokens() const { return page_tokens_; }
  uint32_t free_pages() const { return static_cast<uint32_t>(free_.size()); }
  uint32_t context_length() const { return context_length_; }
  uint32_t pages_per_sequence() const { return pages_for(context_length_); }
  // The most tokens that one sequence may have.
  uint32_t capacity() const { return std::min(context_length_, pages_ * page_tokens_); }

  // The adapter of sequences that are not given another.
  uint32_t default_adapter() const { return default_adapter_; }
  void set_default_adapter(uint32_t adapter) { default_adapter_ = adapter; }

  uint32_t users(uint32_t page) const { return users_[page]; }
  void use(uint32_t page) { ++users_[page]; }
  // One user less. Without any the page is free.
  void leave(uint32_t page);

  uint32_t pages_for(uint32_t tokens) const { return abi::pages_for(tokens, page_tokens_); }

 private:
  friend class Sequence;

  uint32_t take_free();

  uint32_t pages_;
  uint32_t page_tokens_;
  uint32_t context_length_;
  uint32_t default_adapter_ = abi::kNoAdapter;
  std::vector<uint32_t> users_;  // (pages)
  std::vector<uint32_t> free_;   // a stack: the page freed last is taken first
};

}  // namespace ropewalk
