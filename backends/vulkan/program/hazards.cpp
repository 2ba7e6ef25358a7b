#include "backends/vulkan/program/hazards.h"

namespace ropewalk::vulkan {
namespace {

bool any_overlap(const std::vector<Range>& ranges, const std::vector<Range>& others) {
  for (const Range& other : others)
    for (const Range& range : ranges)
      if (range.overlaps(other)) return true;
  return false;
}

}  // namespace

bool Hazards::add(const std::vector<Range>& reads, const std::vector<Range>& writes) {
  const bool waits =
      any_overlap(written_, reads) || any_overlap(written_, writes) || any_overlap(read_, writes);
  if (waits) clear();
  for (const Range& write : writes)
    if (derived_ && (write.overlaps(derived_->source) || write.overlaps(derived_->result)))
      derived_.reset();
  read_.insert(read_.end(), reads.begin(), reads.end());
  written_.insert(written_.end(), writes.begin(), writes.end());
  return waits;
}

void Hazards::clear() {
  read_.clear();
  written_.clear();
}

}  // namespace ropewalk::vulkan
