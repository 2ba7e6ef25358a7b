#include "core/exec/kv_cache.h"

#include <fmt/format.h>

#include <utility>

#include "core/base/error.h"

namespace ropewalk {

KvCache::KvCache(uint32_t pages, uint32_t page_tokens, uint32_t context_length)
    : pages_(pages), page_tokens_(page_tokens), context_length_(context_length), users_(pages) {
  for (uint32_t page = pages; page > 0; --page) free_.push_back(page - 1);
}

void KvCache::leave(uint32_t page) {
  if (--users_[page] == 0) free_.push_back(page);
}

uint32_t KvCache::take_free() {
  const uint32_t page = free_.back();
  free_.pop_back();
  use(page);
  return page;
}

Sequence::Sequence(KvCache& cache) : cache_(cache), adapter_(cache.default_adapter()) {}

Sequence::~Sequence() { truncate(0); }

uint32_t Sequence::capacity() const { return cache_.capacity(); }

void Sequence::adopt(std::span<const uint32_t> pages) {
  for (const uint32_t page : pages) cache_.use(page);
  pages_.assign(pages.begin(), pages.end());
  length_ = static_cast<uint32_t>(pages.size()) * cache_.page_tokens();
}

void Sequence::replace(uint32_t index, uint32_t page) {
  cache_.use(page);
  cache_.leave(std::exchange(pages_[index], page));
}

uint32_t Sequence::missing_pages(uint32_t tokens) const {
  const uint32_t wanted = cache_.pages_for(length_ + tokens);
  return wanted - std::min(wanted, static_cast<uint32_t>(pages_.size()));
}

void Sequence::reserve(uint32_t tokens) {
  const uint64_t length = uint64_t{length_} + tokens;
  if (length > cache_.context_length_) {
    throw Error(ExitCode::limit, "context.length",
                fmt::format("the sequence would have {} tokens, the context holds {}", length,
                            cache_.context_length_),
                "Shorten the prompt or raise context.length");
  }
  const uint32_t missing = missing_pages(tokens);
  if (missing > cache_.free_.size()) {
    throw Error(ExitCode::out_of_memory, "key-value cache",
                fmt::format("{} pages of {} tokens are needed and {} are free", missing,
                            cache_.page_tokens(), cache_.free_.size()),
                "Run fewer sequences at a time or lower context.length");
  }
  for (uint32_t i = 0; i < missing; ++i) pages_.push_back(cache_.take_free());
}

uint32_t Sequence::truncate(uint32_t length) {
  const uint32_t page_tokens = cache_.page_tokens(), in_last = length % page_tokens;
  if (in_last > 0 && cache_.users(pages_[length / page_tokens]) > 1) length -= in_last;
  length_ = length;
  while (pages_.size() > cache_.pages_for(length)) {
    cache_.leave(pages_.back());
    pages_.pop_back();
  }
  return length;
}

}  // namespace ropewalk
