// pattern.h — a regular expression of tokenizer.json; the only file that includes PCRE2.
//
// Finds what Oniguruma finds in tokenizers (Split, Replace). Const after construction and then safe
// to share between threads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/pattern/stand_ins.h"

namespace ropewalk {

// Bytes [begin, end) of a text.
struct TextRange {
  uint32_t begin, end;
};

class Pattern {
 public:
  // `where` names the field in messages. Throws Error (model) with the offset in the expression.
  static Pattern regex(std::string_view expression, std::string_view where);
  // Matches `text` itself. REQUIRES: it is not empty.
  static Pattern literal(std::string_view text);

  // One character that \w of Rust's regex crate matches: a letter, mark, decimal digit, connector
  // or joiner.
  static const Pattern& word_character();

  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;
  ~Pattern();

  // Which characters of a text must be replaced before find() sees it.
  StandIns stand_ins() const { return stand_ins_; }

  // Appends the matches in `piece` of `text`, from left to right; what lies outside of the piece is
  // not seen. Some may be empty. Throws Error (limit) where a match takes too many steps.
  // REQUIRES: `text` is UTF-8, with stand-ins, and the piece whole characters of it.
  void find(std::string_view text, TextRange piece, std::vector<TextRange>& matches) const;

 private:
  struct Code;

  Pattern();
  static Pattern compile(std::string_view pcre2, StandIns stand_ins, std::string_view where);

  std::string literal_;  // empty: the code
  std::unique_ptr<Code> code_;
  StandIns stand_ins_ = StandIns::none;
};

}  // namespace ropewalk
