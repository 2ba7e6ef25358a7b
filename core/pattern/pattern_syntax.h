// pattern_syntax.h — which of Oniguruma's expressions mean the same to PCRE2.
//
// tokenizers matches with Oniguruma in Ruby's syntax. What both read alike is let through, what
// they read differently, or what depends on their version of Unicode, is refused by name.
#pragma once

#include <string>
#include <string_view>

namespace ropewalk {

struct PatternSyntax {
  std::string pcre2;            // the expression for PCRE2 with UTF, UCP and MULTILINE
  bool has_categories = false;  // \p, \P or \d
  bool has_spaces = false;      // \s or \S
};

// `where` names the field in messages. Throws Error (model) with the offset of what it refuses.
PatternSyntax check_pattern(std::string_view pattern, std::string_view where);

}  // namespace ropewalk
