#include "core/base/name_matcher.h"

#include <algorithm>

namespace ropewalk {

NameMatcher::NameMatcher(const std::vector<std::string>& names) {
  for (size_t i = 0; i < names.size(); ++i)
    if (!names[i].empty()) sorted_.push_back({names[i], i});
  // std::string compares bytes as unsigned; a name stands before those that it begins.
  std::sort(sorted_.begin(), sorted_.end(), [](const Entry& a, const Entry& b) {
    return a.name != b.name ? a.name < b.name : a.place < b.place;
  });
  for (const Entry& entry : sorted_)
    ++first_[static_cast<unsigned char>(entry.name[0]) + size_t{1}];
  for (size_t byte = 0; byte < 256; ++byte) first_[byte + 1] += first_[byte];
}

NameMatcher::Match NameMatcher::find(std::string_view text, size_t from) const {
  for (size_t i = from; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (first_[byte] == first_[byte + size_t{1}]) continue;
    const size_t found = longest(text.substr(i));
    if (found != kNone) return {sorted_[found].place, i, i + sorted_[found].name.size()};
  }
  return {};
}

// Narrows the range of names that agree with `text` byte by byte.
size_t NameMatcher::longest(std::string_view text) const {
  const auto byte = static_cast<unsigned char>(text[0]);
  size_t low = first_[byte], high = first_[byte + size_t{1}];
  size_t best = kNone;
  for (size_t depth = 1; low < high; ++depth) {
    if (sorted_[low].name.size() == depth) best = low;
    while (low < high && sorted_[low].name.size() == depth) ++low;
    if (depth == text.size()) break;
    const auto at_depth = [&](const Entry& entry) {
      return static_cast<unsigned char>(entry.name[depth]);
    };
    const auto wanted = static_cast<unsigned char>(text[depth]);
    const auto begin = sorted_.begin() + static_cast<std::ptrdiff_t>(low);
    const auto end = sorted_.begin() + static_cast<std::ptrdiff_t>(high);
    const auto first = std::partition_point(
        begin, end, [&](const Entry& entry) { return at_depth(entry) < wanted; });
    const auto last = std::partition_point(
        first, end, [&](const Entry& entry) { return at_depth(entry) == wanted; });
    low = static_cast<size_t>(first - sorted_.begin());
    high = static_cast<size_t>(last - sorted_.begin());
  }
  return best;
}

}  // namespace ropewalk
