#include "core/pattern/pattern_syntax.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "core/base/error.h"
#include "core/base/utf8.h"
#include "core/pattern/stand_ins.h"

namespace ropewalk {
namespace {

constexpr size_t kMaxPattern = size_t{8} << 10;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// General categories of Unicode by their short names, as both libraries know them.
bool is_category(std::string_view name) {
  static constexpr std::string_view kNames[] = {
      "L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N",  "Nd", "Nl", "No", "P", "Pc",
      "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S", "Sm", "Sc", "Sk", "So", "Z",  "Zs", "Zl", "Zp"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

class Checker {
 public:
  Checker(std::string_view pattern, std::string_view where) : pattern_(pattern), where_(where) {}

  PatternSyntax check();

 private:
  void element();
  void group();
  void character_class(bool caseless);
  void quantifier();
  // These give the code point, or 0 for a set of them.
  uint32_t literal();
  uint32_t escape();
  uint32_t code_point_escape();
  uint32_t category();
  void take(size_t count) {
    syntax_.pcre2 += pattern_.substr(at_, count);
    at_ += count;
  }
  bool begins(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }
  char peek(size_t ahead) const {
    return at_ + ahead < pattern_.size() ? pattern_[at_ + ahead] : '\0';
  }
  [[noreturn]] void refuse(size_t count, std::string_view why) const {
    const std::string_view found = pattern_.substr(std::min(at_, pattern_.size()), count);
    throw Error(ExitCode::model, where_,
                fmt::format("found {} at byte {} of the pattern, {}",
                            found.empty() ? "the end" : '"' + printable(found, 60) + '"', at_, why),
                "Take the model's tokenizer.model if it has one");
  }

  std::string_view pattern_;
  std::string where_;
  size_t at_ = 0;
  PatternSyntax syntax_;
  std::vector<bool> groups_;  // of those open: whether letters match in both cases
  char previous_ = '\0';      // the letter before this one where case does not matter
  bool beyond_stand_ins_ = false;
};

PatternSyntax Checker::check() {
  if (pattern_.size() > kMaxPattern)
    throw Error(ExitCode::model, where_,
                fmt::format("found a pattern of {} bytes, expected at most {}", pattern_.size(),
                            kMaxPattern),
                "");
  if (pattern_.empty()) throw Error(ExitCode::model, where_, "the pattern is empty", "");
  while (at_ < pattern_.size()) element();
  if (!groups_.empty()) refuse(0, "a group without its end");
  if (syntax_.has_categories && beyond_stand_ins_)
    throw Error(ExitCode::model, where_,
                "found \\p beside characters that are newer than Unicode 14, which PCRE2 may not "
                "know, expected one of the two",
                "");
  return std::move(syntax_);
}

void Checker::element() {
  const char c = pattern_[at_];
  const bool caseless = !groups_.empty() && groups_.back();
  if (caseless && !is_letter(c) && std::string_view("|)('[").find(c) == std::string_view::npos)
    refuse(1, "expected letters and ' alone where (?i: ignores their case");
  if (!is_letter(c)) previous_ = '\0';
  if (c == '(') return group();
  if (c == '[') return character_class(caseless);
  if (c == '{') return quantifier();
  if (c == ')') {
    if (groups_.empty()) refuse(1, "which closes no group");
    groups_.pop_back();
    return take(1);
  }
  const uint32_t point = c == '\\' ? escape() : literal();
  if (concerns_stand_ins(point, point)) beyond_stand_ins_ = true;
  if (!caseless || !is_letter(c)) return;
  // Oniguruma takes the letters for U+00DF, U+FB00 and their like too.
  const char small = static_cast<char>(c | 0x20);
  for (const std::string_view pair : {"ss", "st", "ff", "fi", "fl"})
    if (pair[0] == previous_ && pair[1] == small) {
      at_ -= 2;
      refuse(2, "which is one character to Oniguruma too where (?i: ignores its case");
    }
  previous_ = small;
}

void Checker::group() {
  if (begins("(*")) refuse(2, "which only PCRE2 knows");
  if (!begins("(?")) {
    groups_.push_back(!groups_.empty() && groups_.back());
    return take(1);
  }
  for (const std::string_view kind : {"(?:", "(?=", "(?!", "(?i:"}) {
    if (!begins(kind)) continue;
    groups_.push_back(kind == "(?i:" || (!groups_.empty() && groups_.back()));
    return take(kind.size());
  }
  refuse(4, "expected (?:, (?=, (?! or (?i: (lookbehind, names and options are not supported)");
}

// Ruby's classes nest and intersect, PCRE2's do not.
void Checker::character_class(bool caseless) {
  take(1);
  if (begins("^")) take(1);
  if (begins("]")) refuse(1, "an empty class");
  while (at_ < pattern_.size() && pattern_[at_] != ']') {
    if (caseless && !is_letter(pattern_[at_]))
      refuse(1, "expected letters alone where (?i: ignores their case");
    if (begins("[")) refuse(1, "expected \\[ within a class");
    if (begins("&&")) refuse(2, "an intersection of classes");
    const uint32_t first = begins("\\") ? escape() : literal();
    uint32_t last = first;
    if (begins("-") && peek(1) != ']' && peek(1) != '\0') {
      take(1);
      last = begins("\\") ? escape() : literal();
    }
    if (concerns_stand_ins(first, last)) beyond_stand_ins_ = true;
  }
  if (at_ == pattern_.size()) refuse(0, "a class without its end");
  take(1);
}

uint32_t Checker::literal() {
  const size_t length = utf8_sequence_length(pattern_.substr(at_));
  const uint32_t point = utf8_code_point(pattern_.substr(at_, length));
  take(length);
  return point;
}

uint32_t Checker::escape() {
  const char c = peek(1);
  if (c == 'p' || c == 'P') return category();
  if (c == 'x' || c == 'u') return code_point_escape();
  if (c == 's' || c == 'S') syntax_.has_spaces = true;
  if (c == 'd') syntax_.has_categories = true;
  const bool mark = c > ' ' && c < 0x7f && !is_letter(c) && !is_digit(c);
  if (!mark && std::string_view("sSdrnt").find(c) == std::string_view::npos)
    refuse(2, "expected \\p{..} \\P{..} \\s \\S \\d \\r \\n \\t, a code point or an escaped mark");
  take(2);
  return mark ? static_cast<uint32_t>(c) : 0;
}

uint32_t Checker::category() {
  const size_t end = pattern_.find('}', at_);
  const std::string_view name =
      peek(2) == '{' && end != pattern_.npos ? pattern_.substr(at_ + 3, end - at_ - 3) : "";
  if (!is_category(name))
    refuse(std::min<size_t>(end, at_ + 20) - at_ + 1,
           "expected a general category such as \\p{L} or \\p{Lu}");
  syntax_.has_categories = true;
  take(end + 1 - at_);
  return 0;
}

// \x41, \x{1F600}, \u0041.
uint32_t Checker::code_point_escape() {
  const bool braces = begins("\\x{");
  const size_t start = at_ + (braces ? 3 : 2);
  const size_t digits = begins("\\u") ? 4 : braces ? 6 : 2;
  const std::string_view rest = pattern_.substr(std::min(start, pattern_.size()), digits);
  uint32_t point = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), point, 16);
  const auto count = static_cast<size_t>(end - rest.data());
  const bool ends =
      braces ? count > 0 && start + count < pattern_.size() && pattern_[start + count] == '}'
             : count == digits;
  const bool byte = !braces && digits == 2 && point >= 0x80;  // not a character to Oniguruma
  if (error != std::errc{} || !ends || byte || point > 0x10ffff ||
      (point >= 0xd800 && point < 0xe000))
    refuse(start - at_ + digits, "expected \\x00 to \\x7F, \\x{..} or \\u0000");
  syntax_.pcre2 += fmt::format("\\x{{{:x}}}", point);
  at_ = start + count + (braces ? 1 : 0);
  return point;
}

// {n}, {n,}, {n,m} and {n,m}?; what follows another closing brace differs in Ruby.
void Checker::quantifier() {
  size_t end = at_ + 1;
  bool comma = false;
  while (end < pattern_.size() && (is_digit(pattern_[end]) || (pattern_[end] == ',' && !comma)))
    comma |= pattern_[end++] == ',';
  const bool counted = end < pattern_.size() && pattern_[end] == '}' && is_digit(peek(1));
  if (!counted) refuse(end - at_ + 1, "expected {n}, {n,} or {n,m}");
  take(end + 1 - at_);
  if (begins("+") || begins("*") || begins("{") || (begins("?") && !comma))
    refuse(1, "which means another thing after {n} to Oniguruma than to PCRE2");
}

}  // namespace

PatternSyntax check_pattern(std::string_view pattern, std::string_view where) {
  return Checker(pattern, where).check();
}

}  // namespace ropewalk
