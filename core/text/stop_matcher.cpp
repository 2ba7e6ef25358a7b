#include "core/text/stop_matcher.h"

#include <algorithm>

namespace ropewalk {

StopMatcher::StopMatcher(std::vector<std::string> stops) {
  for (std::string& text : stops) {
    std::vector<uint32_t> fallback(text.size());
    for (size_t i = 1; i < text.size(); ++i) {
      uint32_t border = fallback[i - 1];
      while (border > 0 && text[border] != text[i]) border = fallback[border - 1];
      fallback[i] = border + (text[border] == text[i] ? 1 : 0);
    }
    automata_.push_back({.text = std::move(text), .fallback = std::move(fallback)});
  }
}

void StopMatcher::push(char byte) {
  ++length_;
  uint64_t earliest = length_;  // where a match that is not over yet may have begun
  for (size_t i = 0; i < automata_.size(); ++i) {
    Automaton& stop = automata_[i];
    while (stop.matched > 0 && stop.text[stop.matched] != byte)
      stop.matched = stop.fallback[stop.matched - 1];
    if (stop.text[stop.matched] == byte) ++stop.matched;
    if (stop.matched == stop.text.size()) {
      const Match found{.start = length_ - stop.text.size(), .end = length_, .stop = i};
      if (!match_ || found.start < match_->start) match_ = found;
      stop.matched = stop.fallback[stop.matched - 1];
    }
    earliest = std::min(earliest, length_ - stop.matched);
  }
  safe_ = match_ ? match_->start : earliest;
}

}  // namespace ropewalk
