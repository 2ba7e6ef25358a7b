#include "core/tokenizer_json/normalizer.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "core/json/json.h"
#include "core/tokenizer_json/component.h"

namespace ropewalk {
namespace {

constexpr char kKnownNormalizers[] = "NFC, Prepend, Replace, Sequence";

// No character below U+0300 combines with another or is composed of others in another order: a text
// without any from there on is in normal form. Its first byte is at least 0xCC.
bool may_change(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) >= 0xcc; });
}

}  // namespace

Normalizer::Normalizer(const Json& normalizer, const JsonSource& source) {
  for_each_component(
      normalizer, source, "normalizer", "normalizers",
      [&](const std::string& type, const JsonFields& fields) {
        if (type == "NFC") {
          steps_.push_back({.kind = Kind::nfc});
        } else if (type == "Prepend") {
          steps_.push_back({.kind = Kind::prepend, .content = fields.text("prepend")});
        } else if (type == "Replace") {
          PatternText pattern = read_pattern(fields);
          if (pattern.regex)
            fields.fail("pattern", "found a Regex, expected a String",
                        "Take the model's tokenizer.model if it has one");
          steps_.push_back({.kind = Kind::replace,
                            .pattern = std::move(pattern.text),
                            .content = fields.text("content")});
        } else {
          refuse_component(fields, type, kKnownNormalizers);
        }
      });
}

std::string Normalizer::apply(std::string text, TextPlace place) const {
  for (const Step& step : steps_) {
    if (text.empty()) break;
    if (step.kind == Kind::nfc) text = nfc(std::move(text));
    if (step.kind == Kind::prepend && place != TextPlace::continued) text.insert(0, step.content);
    if (step.kind == Kind::replace) text = replaced(std::move(text), step.pattern, step.content);
  }
  return text;
}

std::string nfc(std::string text) {
  if (!may_change(text)) return text;
  utf8proc_uint8_t* mapped = nullptr;
  const auto size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &mapped,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  if (size < 0)
    throw Error(ExitCode::limit, "text",
                fmt::format("cannot be normalised: {}", utf8proc_errmsg(size)), "");
  return {reinterpret_cast<const char*>(mapped), static_cast<size_t>(size)};
}

std::string replaced(std::string text, const std::string& pattern, const std::string& content) {
  size_t at = text.find(pattern);
  if (at == text.npos) return text;
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  size_t done = 0;
  for (; at != text.npos; at = text.find(pattern, done)) {
    out.append(text, done, at - done);
    out += content;
    done = at + pattern.size();
  }
  return out.append(text, done);
}

}  // namespace ropewalk
