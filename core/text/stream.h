// stream.h — the reply as it may be printed: whole characters, and nothing of a stop string.
//
// One object serves one reply. Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/stop_matcher.h"
#include "core/text/tokenizer.h"

namespace ropewalk {

// Whether the reply continues a visible text. Then the space in front of its first word is part of
// it, and prompt and reply together read as decode() of all their ids. Otherwise (a chat's reply,
// or a completion of nothing) that space is the tokenizer's own and is removed.
enum class LeadingSpace { keep, strip };

// Cuts a stream of bytes into whole characters: at most 3 bytes wait for the rest of theirs, and
// bytes that can no longer become one turn into U+FFFD each.
class Utf8Assembler {
 public:
  std::string push(std::string_view bytes);
  std::string finish();

 private:
  std::string pending_;
};

// The concatenated answers of push() and finish() are decode() of the ids, cut at the first stop
// string.
class TextStream {
 public:
  // REQUIRES: the stops are valid UTF-8 and none is empty.
  TextStream(std::vector<std::string> stops, LeadingSpace leading_space);

  // Takes what the next id adds (Tokenizer::text_of) and returns what may be printed now. Nothing
  // after a stop.
  std::string push(const TokenText& token);
  // The reply is over: returns what was held back.
  std::string finish();

  // The stop string that was found, or none.
  std::optional<std::string_view> stopped_by() const;

 private:
  std::string filter(std::string_view characters);
  std::string release(uint64_t end);

  Utf8Assembler characters_;
  StopMatcher stops_;
  bool strip_;
  std::string held_;       // text[released_, ...): may become part of a stop string
  uint64_t released_ = 0;  // bytes printed
};

}  // namespace ropewalk
