#include "core/config/scalars.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "core/base/error.h"

namespace ropewalk {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_plain(const ConfigValue& value) { return value.kind == ValueKind::scalar && !value.quoted; }

// 010 is eight to some readers of YAML and ten to others, so it is refused.
bool has_leading_zero(std::string_view digits) {
  return digits.size() > 1 && digits[0] == '0' && is_digit(digits[1]);
}

template <class Integer>
std::optional<Integer> parse_integer(const ConfigValue& value) {
  if (!is_plain(value) || value.text.empty()) return std::nullopt;
  const std::string_view text = value.text;
  if (has_leading_zero(text.substr(text[0] == '-' ? 1 : 0))) return std::nullopt;
  Integer parsed = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, parsed);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return parsed;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

// What some reader of YAML 1.1 or 1.2 takes for a boolean, null or a number.
// Source: yaml.org/type/bool.html and the core schema of YAML 1.2.2, section 10.3.2.
bool is_mistakable(std::string_view text) {
  constexpr std::array kWords = {"true", "false", "yes",  "no",    "on",    "off", "null",
                                 "~",    "",      ".inf", "-.inf", "+.inf", ".nan"};
  const std::string word = lower(text);
  if (std::ranges::find(kWords, word) != kWords.end()) return true;
  const size_t sign = word[0] == '-' || word[0] == '+' ? 1 : 0;
  if (word.size() == sign) return false;
  const std::string_view digits = std::string_view(word).substr(sign);
  if (!is_digit(digits[0]) && digits[0] != '.') return false;
  if (digits.starts_with("0x") || digits.starts_with("0o") || digits.starts_with("0b")) return true;
  double number = 0;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return stop == digits.data() + digits.size() && error != std::errc::invalid_argument;
}

}  // namespace

std::optional<bool> as_boolean(const ConfigValue& value) {
  if (!is_plain(value)) return std::nullopt;
  if (value.text == "true") return true;
  if (value.text == "false") return false;
  return std::nullopt;
}

std::optional<int64_t> as_integer(const ConfigValue& value) {
  return parse_integer<int64_t>(value);
}

std::optional<uint64_t> as_unsigned(const ConfigValue& value) {
  return parse_integer<uint64_t>(value);
}

std::optional<double> as_number(const ConfigValue& value) {
  if (!is_plain(value) || value.text.empty()) return std::nullopt;
  const std::string_view text = value.text;
  const std::string_view digits = text.substr(text[0] == '-' ? 1 : 0);
  // from_chars would take "inf" and "nan".
  if (digits.empty() || (!is_digit(digits[0]) && digits[0] != '.')) return std::nullopt;
  if (has_leading_zero(digits)) return std::nullopt;
  double parsed = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, parsed);
  if (error != std::errc{} || stop != end || !std::isfinite(parsed)) return std::nullopt;
  return parsed;
}

std::optional<std::string> as_text(const ConfigValue& value) {
  if (value.kind != ValueKind::scalar) return std::nullopt;
  if (!value.quoted && is_mistakable(value.text)) return std::nullopt;
  return value.text;
}

std::string describe(const ConfigValue& value) {
  switch (value.kind) {
    case ValueKind::null:
      return "nothing";
    case ValueKind::list:
      return "a list";
    case ValueKind::map:
      return "a map";
    case ValueKind::scalar:
      break;
  }
  const std::string text = printable(value.text, 60);
  return value.quoted ? fmt::format("\"{}\"", text) : text;
}

std::string mismatch(const ConfigValue& value, std::string_view expected) {
  return fmt::format("found {}, expected {}", describe(value), expected);
}

}  // namespace ropewalk
