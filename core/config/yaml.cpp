#include "core/config/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <vector>

#include "core/base/encoding.h"
#include "core/base/error.h"
#include "core/base/utf8.h"

namespace ropewalk {
namespace {

Where place(const std::string& file, const YAML::Mark& mark) {
  return {file, static_cast<uint32_t>(mark.line + 1), static_cast<uint32_t>(mark.column + 1)};
}

[[noreturn]] void refuse_yaml(const Where& where, std::string_view what, std::string_view advice) {
  throw Error(ExitCode::usage, where.text(), what, advice);
}

constexpr std::string_view kOpenQuote = "found a quote that is never closed, expected its end";
constexpr std::string_view kCloseQuote =
    "Close it on its line; a text of several lines is best written behind a |";

// Builds the tree from the parser's events. It refuses at the first event over a limit, so that at
// most kMaxConfigDepth levels are ever open.
class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(const std::string& file, std::string_view text) : file_(file), text_(text) {}

  std::optional<ConfigValue> take() { return std::move(root_); }

  // Where the last quoted text began, if it went on over several lines; line 0: none.
  const Where& long_quote() const { return long_quote_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1)
      refuse_yaml(place(file_, mark), "found a second document, expected one",
                  "Remove it and what follows");
  }
  void OnDocumentEnd() override {}

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse_anchor(mark); }
  void OnAnchor(const YAML::Mark& mark, const std::string&) override { refuse_anchor(mark); }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    begin(mark, "");
    add(make_value(ValueKind::null, place(file_, mark)));
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& text) override {
    begin(mark, tag);
    if (tag == "!") check_quote(mark);
    // Escapes such as "\0" and "\ud800" can produce what the file's bytes must not contain.
    if (text.find('\0') != std::string::npos || utf8_first_error(text) != std::string::npos)
      refuse_yaml(place(file_, mark), "found an escape that is not a character, expected text", "");
    // yaml-cpp's tag is "?" for plain scalars and "!" for those in quotes and for blocks.
    ConfigValue value = make_scalar(text, place(file_, mark));
    value.quoted = tag == "!";
    add(std::move(value));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    begin(mark, tag);
    open(mark, ValueKind::list);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    begin(mark, tag);
    open(mark, ValueKind::map);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

 private:
  struct Level {
    ConfigValue value;
    std::optional<ConfigValue> key = {};  // of a map: read, and waiting for its value
  };

  [[noreturn]] void refuse_anchor(const YAML::Mark& mark) const {
    refuse_yaml(place(file_, mark), "found an anchor or alias, which are not allowed",
                "Write the value out, or use extends: to share settings");
  }

  // yaml-cpp takes the end of the file for the closing quote, and with it every key in between.
  void check_quote(const YAML::Mark& mark) {
    const auto begin = static_cast<size_t>(mark.pos);
    if (begin >= text_.size()) return;
    const char quote = text_[begin];
    if (quote != '"' && quote != '\'') return;  // a block
    size_t end = begin + 1;
    for (; end < text_.size(); ++end) {
      const bool doubled = quote == '\'' && text_.substr(end, 2) == "''";
      if (doubled || (quote == '"' && text_[end] == '\\'))
        ++end;
      else if (text_[end] == quote)
        break;
    }
    if (end >= text_.size()) refuse_yaml(place(file_, mark), kOpenQuote, kCloseQuote);
    if (text_.substr(begin, end - begin).find('\n') != std::string_view::npos)
      long_quote_ = place(file_, mark);
  }

  void begin(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!")
      refuse_yaml(place(file_, mark),
                  fmt::format("found the tag {}, expected none", printable(tag)), "Remove it");
    if (++values_ > kMaxConfigValues)
      refuse_yaml(place(file_, mark), fmt::format("found more than {} values", kMaxConfigValues),
                  "");
  }

  void open(const YAML::Mark& mark, ValueKind kind) {
    if (levels_.size() >= kMaxConfigDepth)
      refuse_yaml(place(file_, mark),
                  fmt::format("is nested too deeply, expected at most {} levels", kMaxConfigDepth),
                  "");
    levels_.push_back({.value = make_value(kind, place(file_, mark))});
  }

  void close() {
    ConfigValue value = std::move(levels_.back().value);
    levels_.pop_back();
    add(std::move(value));
  }

  void add(ConfigValue value) {
    if (levels_.empty()) {
      root_ = std::move(value);
      return;
    }
    Level& level = levels_.back();
    if (level.value.kind == ValueKind::list) {
      level.value.items.push_back(std::move(value));
    } else if (!level.key) {
      check_key(level.value, value);
      level.key = std::move(value);
    } else {
      // The parser notices a missing value only at the next event; the key gives the true place.
      if (value.kind == ValueKind::null && value.where.line != level.key->where.line)
        value.where = level.key->where;
      level.value.entries.push_back(
          {std::move(level.key->text), std::move(level.key->where), std::move(value)});
      level.key.reset();
    }
  }

  static void check_key(const ConfigValue& map, const ConfigValue& key) {
    if (key.kind != ValueKind::scalar)
      refuse_yaml(key.where, "found a key that is not a name, expected name: value", "");
    for (const ConfigEntry& entry : map.entries)
      if (entry.key == key.text)
        refuse_yaml(key.where,
                    fmt::format("found the key {} a second time, first on line {}",
                                printable(key.text), entry.where.line),
                    "Remove one of them");
  }

  const std::string& file_;
  const std::string_view text_;
  Where long_quote_ = {};
  std::vector<Level> levels_;
  std::optional<ConfigValue> root_;
  size_t values_ = 0;
  int documents_ = 0;
};

// Binary files have one; they are more often a file of a model than a damaged configuration.
size_t first_control_byte(std::string_view text) {
  const auto found = std::ranges::find_if(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 && byte != '\n' && byte != '\r' && byte != '\t';
  });
  return static_cast<size_t>(found - text.begin());
}

void check_bytes(std::string_view text, const std::string& name) {
  const size_t bad = utf8_first_error(text), control = first_control_byte(text);
  const bool binary = control < text.size() && !begins_as_utf16(text);
  const std::string_view advice =
      binary ? "Give a configuration in YAML, or a model's folder" : "Save the file as UTF-8";
  if (bad != std::string_view::npos)
    throw Error(ExitCode::usage, name, not_utf8(text, bad), advice);
  if (binary)
    throw Error(ExitCode::usage, name,
                fmt::format("found control byte 0x{:02x} at byte {}, expected text",
                            static_cast<unsigned char>(text[control]), control),
                advice);
}

}  // namespace

ConfigValue parse_yaml(std::string_view text, const std::string& name) {
  check_bytes(text, name);
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  std::istringstream stream{std::string(text)};
  TreeBuilder builder(name, text);
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    if (error.msg == YAML::ErrorMsg::EOF_IN_SCALAR)
      refuse_yaml(place(name, error.mark), kOpenQuote, kCloseQuote);
    const Where& quote = builder.long_quote();
    refuse_yaml(
        place(name, error.mark), fmt::format("is not YAML: {}", printable(error.msg)),
        quote.line == 0
            ? ""
            : fmt::format("The quote of line {}, column {} may not be closed where it should be",
                          quote.line, quote.column));
  }
  std::optional<ConfigValue> root = builder.take();
  if (!root) throw Error(ExitCode::usage, name, "is empty, expected keys and values", "");
  return std::move(*root);
}

}  // namespace ropewalk
