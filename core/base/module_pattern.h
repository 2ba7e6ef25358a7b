// module_pattern.h — which modules of a model a pattern means.
//
// As PEFT reads the keys of rank_pattern and alpha_pattern: a regular expression KEY means a module
// where `(.*\.)?(KEY)$` matches its name. We know the part of that language that people use, and
// match it in bounded time:
//
//   letters, digits, _ and -   themselves
//   .                          any character; \. a dot
//   .*                         any run of characters
//   ^ in front                 the module's whole name, not only its end; $ at the end is taken
//
// Source: peft utils/other.py, get_pattern_key.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ropewalk {

class ModulePattern {
 public:
  // nullopt: more than the above.
  static std::optional<ModulePattern> parse(std::string_view key);

  bool matches(std::string_view module) const;

 private:
  bool matches_from(std::string_view text) const;

  std::string pattern_;  // a character each; kAny and kRun stand for `.` and `.*`
  bool whole_ = false;
};

}  // namespace ropewalk
