#include "core/eval/csv.h"

#include <fmt/format.h>

#include <utility>

#include "core/base/error.h"

namespace ropewalk {
namespace {

class Reader {
 public:
  Reader(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  std::vector<CsvRow> rows() {
    std::vector<CsvRow> rows;
    while (at_ < text_.size()) {
      if (take_line_end()) continue;
      CsvRow row{line_, {}};
      do {
        row.cells.push_back(cell());
      } while (take(','));
      if (at_ < text_.size() && !take_line_end()) fail(line_, "found text after a closing quote");
      rows.push_back(std::move(row));
    }
    return rows;
  }

 private:
  bool take(char wanted) {
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }

  bool take_line_end() {
    const size_t before = at_;
    take('\r');
    if (take('\n')) return ++line_, true;
    at_ = before;
    return false;
  }

  std::string cell() {
    if (take('"')) return quoted();
    const size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != ',' && text_[at_] != '\n' &&
           text_.substr(at_, 2) != "\r\n")
      ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  std::string quoted() {
    const uint32_t opened = line_;
    std::string value;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '"' && !take('"')) return value;
      line_ += c == '\n';
      value += c;
    }
    fail(opened, "found a quote that is not closed");
  }

  [[noreturn]] void fail(uint32_t line, std::string_view what) const {
    throw Error(ExitCode::usage, fmt::format("{}:{}", file_, line), what,
                "Write quotes inside a cell twice and the cell in quotes");
  }

  std::string_view text_;
  const std::string& file_;
  size_t at_ = 0;
  uint32_t line_ = 1;
};

}  // namespace

std::vector<CsvRow> parse_csv(std::string_view text, const std::string& file) {
  return Reader(text, file).rows();
}

}  // namespace ropewalk
