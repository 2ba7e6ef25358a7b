// matches.h — what a pattern finds in a text, as text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/pattern/pattern.h"

namespace ropewalk::test {

inline std::vector<std::string> matches(const Pattern& pattern, std::string_view text) {
  const std::string subject = with_stand_ins(text, pattern.stand_ins());
  std::vector<TextRange> ranges;
  pattern.find(subject, {0, static_cast<uint32_t>(text.size())}, ranges);
  std::vector<std::string> found;
  for (const TextRange& range : ranges)
    found.emplace_back(text.substr(range.begin, range.end - range.begin));
  return found;
}

}  // namespace ropewalk::test
