// pre_tokenizer.h — how tokenizer.json cuts a text into the pieces within which tokens merge.
//
// Const after construction and then safe to share between threads.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "core/json/json_fwd.h"
#include "core/pattern/pattern.h"
#include "core/tokenizer_json/component.h"
#include "core/tokenizer_json/normalizer.h"

namespace ropewalk {

// A text and the pieces of it, which do not overlap and of which none is empty.
struct CutText {
  std::string text;
  std::vector<TextRange> pieces;
};

class PreTokenizer {
 public:
  // Takes null, ByteLevel (at the end), Split, Digits, Metaspace, and Sequences of them. Throws
  // Error (model) for any other.
  PreTokenizer(const Json& pre_tokenizer, const JsonSource& source);

  // Whether the vocabulary's characters stand for bytes (byte_map.h). The pieces stay as they are.
  bool byte_level() const { return byte_level_; }

  // REQUIRES: `text` is UTF-8.
  CutText cut(std::string text, TextPlace place) const;

 private:
  // What becomes of the matches of a pattern (tokenizers' SplitDelimiterBehavior).
  enum class Behavior { isolated, removed, contiguous, merged_with_previous, merged_with_next };
  struct Split {
    Pattern pattern;
    Behavior behavior = Behavior::isolated;
    bool inverted = false;  // what lies between the matches counts as the match
  };
  struct Prefix {  // put before a piece that does not begin with it
    std::string text;
    PrependScheme where;
    bool replaces_spaces = false;
  };
  struct Match {
    TextRange range;
    bool is_match;
  };
  class Reader;

  static void apply(const Prefix& prefix, CutText& cut, TextPlace place);
  static void apply(const Split& split, CutText& cut, std::string_view subject);
  static void gather(const std::vector<Match>& parts, Behavior behavior,
                     std::vector<TextRange>& pieces);

  std::vector<std::variant<Split, Prefix>> steps_;
  bool byte_level_ = false;
};

}  // namespace ropewalk
