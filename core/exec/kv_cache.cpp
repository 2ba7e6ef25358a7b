#include "core/exec/kv_cache.h"

#include <fmt/format.h>

#include "core/base/error.h"

namespace ropewalk {

KvCache::KvCache(uint32_t pages, uint32_t context_length)
    : pages_(pages), context_length_(context_length) {
  for (uint32_t page = pages; page > 0; --page) free_.push_back(page - 1);
}

Sequence::~Sequence() { truncate(0); }

uint32_t Sequence::context_length() const { return cache_.context_length(); }

void Sequence::reserve(uint32_t tokens) {
  const uint64_t length = uint64_t{length_} + tokens;
  if (length > cache_.context_length_) {
    throw Error(ExitCode::limit, "context.length",
                fmt::format("the sequence would have {} tokens, the context holds {}", length,
                            cache_.context_length_),
                "Shorten the prompt or raise context.length");
  }
  const uint32_t wanted = KvCache::pages_for(static_cast<uint32_t>(length));
  const size_t missing = wanted > pages_.size() ? wanted - pages_.size() : 0;
  if (missing > cache_.free_.size()) {
    throw Error(ExitCode::out_of_memory, "key-value cache",
                fmt::format("{} pages of {} tokens are needed and {} are free", missing,
                            abi::kPageTokens, cache_.free_.size()),
                "Run fewer sequences at a time or lower context.length");
  }
  for (size_t i = 0; i < missing; ++i) {
    pages_.push_back(cache_.free_.back());
    cache_.free_.pop_back();
  }
}

void Sequence::truncate(uint32_t length) {
  length_ = length;
  while (pages_.size() > KvCache::pages_for(length)) {
    cache_.free_.push_back(pages_.back());
    pages_.pop_back();
  }
}

}  // namespace ropewalk
