#include "core/json/json_events.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <set>
#include <utility>
#include <vector>

#include "core/base/utf8.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

constexpr size_t kMaxDepth = 64;

[[noreturn]] void fail(const JsonSource& source, std::string_view what) {
  throw Error(source.code, source.file, what, source.advice);
}

// A byte's place as an editor counts it; the column in bytes.
std::string place(std::string_view text, size_t byte) {
  const std::string_view before = text.substr(0, byte);
  const size_t line = static_cast<size_t>(std::ranges::count(before, '\n')) + 1;
  const size_t start = before.rfind('\n');  // npos + 1 is 0
  return fmt::format("line {}, column {}", line, before.size() - (start + 1) + 1);
}

// The library's "[json.exception.parse_error.101] parse error at line 1, column 2: REASON", or
// without the part about the line.
std::string_view reason(std::string_view text) {
  if (const size_t bracket = text.find("] "); bracket != text.npos) text.remove_prefix(bracket + 2);
  if (!text.starts_with("parse error at")) return text;
  const size_t colon = text.find(": ");
  return colon == text.npos ? text : text.substr(colon + 2);
}

// Walks the text and tells the handler how far the lexer has read; the library reports that only
// for syntax errors.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, size_t* read) : at_(at), read_(read) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    ++at_;
    ++*read_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }

 private:
  const char* at_;
  size_t* read_;
};

// Adapts the library's SAX interface to ours and makes the checks.
class StrictWalker final : public nlohmann::json_sax<Json> {
 public:
  StrictWalker(std::string_view text, const JsonSource& source, const size_t& read,
               JsonEvents& events)
      : text_(text), source_(source), read_(read), events_(events) {}

  bool null() override { return events_.null(), true; }
  bool boolean(bool value) override { return events_.boolean(value), true; }
  bool number_integer(int64_t value) override { return events_.integer(value), true; }
  bool number_unsigned(uint64_t value) override { return events_.unsigned_integer(value), true; }
  bool number_float(double value, const std::string&) override {
    return events_.number(value), true;
  }
  bool string(std::string& value) override { return events_.text(std::move(value)), true; }
  bool binary(Json::binary_t&) override { return false; }  // no JSON text makes one

  bool start_object(size_t) override {
    enter();
    return events_.begin_object(), true;
  }
  bool key(std::string& name) override {
    if (!keys_.back().insert(name).second)
      fail(source_,
           fmt::format("duplicate key \"{}\" before {}", printable(name), place(text_, read_)));
    return events_.key(std::move(name)), true;
  }
  bool end_object() override {
    keys_.pop_back();
    return events_.end_object(), true;
  }
  bool start_array(size_t) override {
    enter();
    return events_.begin_array(), true;
  }
  bool end_array() override {
    keys_.pop_back();
    return events_.end_array(), true;
  }
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    fail(source_,
         fmt::format("not valid JSON at {}: {}", place(text_, position > 0 ? position - 1 : 0),
                     printable(reason(error.what()), 200)));
  }

 private:
  void enter() {
    if (keys_.size() == kMaxDepth)
      fail(source_, fmt::format("nested too deeply at {}, expected at most {} levels",
                                place(text_, read_ - 1), kMaxDepth));
    keys_.emplace_back();
  }

  const std::string_view text_;
  const JsonSource& source_;
  const size_t& read_;
  JsonEvents& events_;
  // The keys seen in each open object (arrays hold an empty place). A tree, not a hash table: the
  // keys may have been chosen to collide.
  std::vector<std::set<std::string>> keys_;
};

}  // namespace

void walk_json(std::string_view text, const JsonSource& source, JsonEvents& events) {
  if (text.empty()) fail(source, "the file is empty, expected JSON");
  if (text.starts_with("\xef\xbb\xbf"))
    fail(source, "starts with a byte order mark, which JSON forbids");
  if (const size_t bad = utf8_first_error(text); bad != text.npos)
    fail(source, fmt::format("not UTF-8 at {}", place(text, bad)));
  // The library takes a NUL for the end of the text and ignores what follows.
  if (const size_t nul = text.find('\0'); nul != text.npos)
    fail(source, fmt::format("not valid JSON at {}: a NUL", place(text, nul)));

  size_t read = 0;
  StrictWalker walker(text, source, read, events);
  Json::sax_parse(CountingIterator(text.data(), &read),
                  CountingIterator(text.data() + text.size(), &read), &walker);
}

}  // namespace ropewalk
