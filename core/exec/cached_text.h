// cached_text.h — a sequence together with its tokens: which are cached, and which must still run.
//
// The cache holds a prefix of the tokens; the rest are pending. A step that runs the next chunk
// caches it, a step that fails caches nothing: tokens and cache always agree. Not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/exec/executor.h"
#include "core/exec/kv_cache.h"
#include "core/model/rope_tables.h"

namespace ropewalk {

class CachedText {
 public:
  // REQUIRES: both outlive this.
  CachedText(KvCache& cache, const RopeTables& rope) : rope_(rope), sequence_(cache) {}

  std::span<const int32_t> ids() const { return ids_; }
  uint32_t size() const { return static_cast<uint32_t>(ids_.size()); }
  uint32_t cached() const { return sequence_.length(); }
  uint32_t pending() const { return size() - cached(); }
  const Sequence& sequence() const { return sequence_; }

  // Adds pending tokens.
  void append(std::span<const int32_t> ids);
  // Replaces the tokens by `ids`. The common prefix stays cached where its keys stay valid. The
  // last id is always pending, because its logits are wanted. Returns how many tokens are cached.
  uint32_t rewind_to(std::span<const int32_t> ids);
  // Forgets all but the first `size` tokens. REQUIRES: size <= size().
  void truncate(uint32_t size);
  // As Sequence::replace().
  void replace_page(uint32_t index, uint32_t page) { sequence_.replace(index, page); }
  // Caches nothing any longer: all tokens are pending.
  void uncache() { sequence_.truncate(0); }
  // Another adapter computes all of it from now on: nothing is cached any longer.
  void set_adapter(uint32_t adapter) {
    if (adapter == sequence_.adapter()) return;
    uncache();
    sequence_.set_adapter(adapter);
  }
  // The pages hold the first tokens. REQUIRES: none is cached; the pages hold fewer than size().
  void adopt(std::span<const uint32_t> pages) { sequence_.adopt(pages); }

  // The first `max_rows` pending tokens, or all of them. Logits are wanted only for the last token
  // of the text; a caller that wants others changes Chunk::wanted. Valid until the text changes.
  // REQUIRES: max_rows >= 1, pending() >= 1.
  Chunk next(uint32_t max_rows);

 private:
  const RopeTables& rope_;
  Sequence sequence_;
  std::vector<int32_t> ids_;
};

}  // namespace ropewalk
