// normalizer.h — what tokenizer.json does to a text before it is cut.
//
// Const after construction and then safe to share between threads.
#pragma once

#include <string>
#include <vector>

#include "core/json/json_fwd.h"

namespace ropewalk {

// Where a stretch of text stands, which decides whether a space is put in front of it.
enum class TextPlace {
  first,      // nothing before it
  later,      // behind a token
  continued,  // behind a byte that is no part of a character: no space belongs between
};

class Normalizer {
 public:
  // Takes null, NFC, Prepend, Replace of a text, and Sequences of them. Throws Error (model) for
  // any other.
  Normalizer(const Json& normalizer, const JsonSource& source);

  // REQUIRES: `text` is UTF-8. Stays empty where it is.
  std::string apply(std::string text, TextPlace place) const;

 private:
  enum class Kind { nfc, prepend, replace };
  struct Step {
    Kind kind;
    std::string pattern = {};  // replace
    std::string content = {};  // prepend, replace
  };

  std::vector<Step> steps_;
};

// Canonical composition as Unicode 15 has it (UAX 15). The tokenizers library's tables are older:
// it leaves 117 combining marks in the order given. REQUIRES: `text` is UTF-8.
std::string nfc(std::string text);

// `text` with every `pattern` replaced. REQUIRES: the pattern is not empty.
std::string replaced(std::string text, const std::string& pattern, const std::string& content);

}  // namespace ropewalk
