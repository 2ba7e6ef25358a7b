#include "core/pattern/stand_ins.h"

#include <algorithm>
#include <iterator>

#include "core/base/utf8.h"

namespace ropewalk {
namespace {

struct Range {
  uint32_t first, last, stand_in;
};

constexpr Range kRanges[] = {
#include "core/pattern/stand_ins.inc"
};
constexpr uint32_t kVowelSeparator = 0x180e;

const Range* find(uint32_t point) {
  const Range* found =
      std::lower_bound(std::begin(kRanges), std::end(kRanges), point,
                       [](const Range& range, uint32_t p) { return range.last < p; });
  return found != std::end(kRanges) && found->first <= point ? found : nullptr;
}

// Calls `take(offset, range)` for each character that is replaced, until it says false.
void for_each_replaced(std::string_view text, StandIns which, auto&& take) {
  if (which == StandIns::none) return;
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0xe0) {  // no shorter character is replaced
      ++i;
      continue;
    }
    const size_t length = lead < 0xf0 ? 3 : 4;
    const uint32_t point = utf8_code_point(text.substr(i, length));
    if (which == StandIns::all || point == kVowelSeparator)
      if (const Range* range = find(point); range && !take(i, *range)) return;
    i += length;
  }
}

}  // namespace

bool needs_stand_ins(std::string_view text, StandIns which) {
  bool needs = false;
  for_each_replaced(text, which, [&](size_t, const Range&) {
    needs = true;
    return false;
  });
  return needs;
}

std::string with_stand_ins(std::string_view text, StandIns which) {
  std::string changed(text);
  for_each_replaced(text, which, [&](size_t at, const Range& range) {
    const uint32_t point = range.stand_in;
    const bool wide = point >= 0x10000;
    size_t i = at;
    if (wide) changed[i++] = static_cast<char>(0xf0 | point >> 18);
    changed[i++] = static_cast<char>(wide ? 0x80 | (point >> 12 & 0x3f) : 0xe0 | point >> 12);
    changed[i++] = static_cast<char>(0x80 | (point >> 6 & 0x3f));
    changed[i] = static_cast<char>(0x80 | (point & 0x3f));
    return true;
  });
  return changed;
}

bool concerns_stand_ins(uint32_t first, uint32_t last) {
  return std::any_of(std::begin(kRanges), std::end(kRanges), [&](const Range& range) {
    return (range.first <= last && range.last >= first) ||
           (range.stand_in >= first && range.stand_in <= last);
  });
}

}  // namespace ropewalk
