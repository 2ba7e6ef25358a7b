// stop_matcher.h — finds the first of many stop strings in a text that arrives in parts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk {

// One automaton of Knuth, Morris and Pratt per stop string, advanced by each byte: no stop is
// compared twice, however long or repetitive it is.
class StopMatcher {
 public:
  // REQUIRES: no stop is empty.
  explicit StopMatcher(std::vector<std::string> stops);

  // The match that is complete first; of several that end there, the longest.
  struct Match {
    uint64_t start;  // offset in the text
    uint64_t end;
    size_t stop;  // index of the stop string
  };

  // Takes one byte. REQUIRES: match() is empty.
  void push(char byte);

  const std::optional<Match>& match() const { return match_; }
  // Bytes of the text before this offset belong to no match, now or later.
  uint64_t safe() const { return safe_; }
  const std::string& stop(size_t index) const { return automata_[index].text; }

 private:
  struct Automaton {
    std::string text;
    std::vector<uint32_t> fallback;  // (size): longest proper border of the first i + 1 bytes
    uint32_t matched = 0;            // bytes of `text` that the pushed text ends with
  };

  std::vector<Automaton> automata_;
  uint64_t length_ = 0;  // bytes pushed
  uint64_t safe_ = 0;
  std::optional<Match> match_;
};

}  // namespace ropewalk
