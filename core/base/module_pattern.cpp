#include "core/base/module_pattern.h"

namespace ropewalk {
namespace {

constexpr size_t kMaxKey = 1024;
constexpr char kAny = '\1', kRun = '\2';  // in no module's name

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

}  // namespace

std::optional<ModulePattern> ModulePattern::parse(std::string_view key) {
  ModulePattern pattern;
  if (key.starts_with('^')) {
    pattern.whole_ = true;
    key.remove_prefix(1);
  }
  if (key.ends_with('$')) key.remove_suffix(1);
  if (key.empty() || key.size() > kMaxKey) return std::nullopt;
  for (size_t i = 0; i < key.size(); ++i) {
    const std::string_view rest = key.substr(i);
    if (rest.starts_with("\\.")) {
      pattern.pattern_ += '.';
      ++i;
    } else if (rest.starts_with(".*")) {
      pattern.pattern_ += kRun;
      ++i;
    } else if (rest[0] == '.' || is_word(rest[0])) {
      pattern.pattern_ += rest[0] == '.' ? kAny : rest[0];
    } else {
      return std::nullopt;
    }
  }
  return pattern;
}

bool ModulePattern::matches(std::string_view module) const {
  if (matches_from(module)) return true;
  if (whole_) return false;
  for (size_t dot = module.find('.'); dot != std::string_view::npos;
       dot = module.find('.', dot + 1))
    if (matches_from(module.substr(dot + 1))) return true;
  return false;
}

// Going back to the last run alone is enough: what an earlier one could take, the last can.
bool ModulePattern::matches_from(std::string_view text) const {
  size_t at = 0, i = 0, run = std::string::npos, run_at = 0;
  while (at < text.size()) {
    if (i < pattern_.size() && pattern_[i] == kRun) {
      run = i++;
      run_at = at;
    } else if (i < pattern_.size() && (pattern_[i] == kAny || pattern_[i] == text[at])) {
      ++i;
      ++at;
    } else if (run != std::string::npos) {
      i = run + 1;
      at = ++run_at;
    } else {
      return false;
    }
  }
  while (i < pattern_.size() && pattern_[i] == kRun) ++i;
  return i == pattern_.size();
}

}  // namespace ropewalk
