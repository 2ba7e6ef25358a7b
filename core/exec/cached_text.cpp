#include "core/exec/cached_text.h"

#include <algorithm>

namespace ropewalk {

void CachedText::append(std::span<const int32_t> ids) {
  ids_.insert(ids_.end(), ids.begin(), ids.end());
}

uint32_t CachedText::rewind_to(std::span<const int32_t> ids) {
  const auto [ours, theirs] = std::mismatch(ids_.begin(), ids_.end(), ids.begin(), ids.end());
  uint32_t kept = std::min(static_cast<uint32_t>(ours - ids_.begin()), cached());
  if (!rope_.keys_stay_valid()) kept = 0;
  if (kept > 0 && kept == ids.size()) --kept;
  ids_.assign(ids.begin(), ids.end());
  return sequence_.truncate(kept);
}

void CachedText::truncate(uint32_t size) {
  ids_.resize(size);
  sequence_.truncate(std::min(size, cached()));
}

Chunk CachedText::next(uint32_t max_rows) {
  const uint32_t count = std::min(max_rows, pending());
  return {&sequence_, ids().subspan(cached(), count),
          count == pending() ? Wanted::last : Wanted::none, size()};
}

}  // namespace ropewalk
