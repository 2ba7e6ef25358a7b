#define PCRE2_CODE_UNIT_WIDTH 8
#include "core/pattern/pattern.h"

#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "core/base/error.h"
#include "core/base/utf8.h"
#include "core/pattern/pattern_syntax.h"

namespace ropewalk {
// Not file-local, because Pattern::Code has members of it.
template <auto kFree>
struct FreedByPcre2 {
  void operator()(auto* p) const { kFree(p); }
};

namespace {

// From one place of a text. A run of a million characters may take a million.
constexpr uint32_t kMaxSteps = 10'000'000;
constexpr uint32_t kMaxHeap = 64 << 10;  // kB

using CodePointer = std::unique_ptr<pcre2_code, FreedByPcre2<pcre2_code_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, FreedByPcre2<pcre2_match_context_free>>;
using CompileContext =
    std::unique_ptr<pcre2_compile_context, FreedByPcre2<pcre2_compile_context_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, FreedByPcre2<pcre2_match_data_free>>;

template <class Pointer>
Pointer owned(typename Pointer::pointer pointer) {
  if (!pointer) throw std::bad_alloc();
  return Pointer(pointer);
}

std::string message_of(int error) {
  std::array<char, 256> text = {};
  pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR*>(text.data()), text.size());
  return text.data();
}

// From the first of a run of spaces `\s+$` tries each further end, and then again from the second:
// the square of the run's length. A run that does not match from its first space matches from none.
std::string without_quadratic_time(std::string expression) {
  return expression == R"(\s+$)" ? R"(\s+$|\s+(*SKIP)(*FAIL))" : expression;
}

}  // namespace

struct Pattern::Code {
  CodePointer code;
  MatchContext context;
};

Pattern::Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;
Pattern::~Pattern() = default;

Pattern Pattern::literal(std::string_view text) {
  Pattern pattern;
  pattern.literal_ = text;
  return pattern;
}

Pattern Pattern::regex(std::string_view expression, std::string_view where) {
  const PatternSyntax syntax = check_pattern(expression, where);
  const StandIns stand_ins = syntax.has_categories ? StandIns::all
                             : syntax.has_spaces   ? StandIns::spaces
                                                   : StandIns::none;
  return compile(without_quadratic_time(syntax.pcre2), stand_ins, where);
}

const Pattern& Pattern::word_character() {
  static const Pattern pattern =
      compile(R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{200c}\x{200d}])", StandIns::all, "\\w");
  return pattern;
}

Pattern Pattern::compile(std::string_view pcre2, StandIns stand_ins, std::string_view where) {
  const auto context = owned<CompileContext>(pcre2_compile_context_create(nullptr));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  // Oniguruma's ^ and $ are those of every line.
  CodePointer code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pcre2.data()), pcre2.size(),
                                 PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                                 &error, &offset, context.get()));
  if (!code)
    throw Error(ExitCode::model, where,
                fmt::format("PCRE2 refuses the pattern at byte {}: {}", offset, message_of(error)),
                "The file is damaged: download it again");
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);  // where it cannot, the interpreter matches

  Pattern pattern;
  pattern.code_ = std::make_unique<Code>();
  pattern.code_->code = std::move(code);
  pattern.code_->context = owned<MatchContext>(pcre2_match_context_create(nullptr));
  pcre2_set_match_limit(pattern.code_->context.get(), kMaxSteps);
  pcre2_set_heap_limit(pattern.code_->context.get(), kMaxHeap);
  pattern.stand_ins_ = stand_ins;
  return pattern;
}

namespace {

class Finder {
 public:
  Finder(const pcre2_code& code, pcre2_match_context& context)
      : code_(code),
        context_(context),
        data_(owned<MatchData>(pcre2_match_data_create(1, nullptr))) {}

  // The first match in `text` at or after `from`.
  bool find(std::string_view text, size_t from, TextRange& match) {
    constexpr uint32_t kChecked = PCRE2_NO_UTF_CHECK;
    int found = run(text, from, kChecked);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) found = run(text, from, kChecked | PCRE2_NO_JIT);
    if (found == PCRE2_ERROR_NOMATCH) return false;
    if (found < 0)
      throw Error(ExitCode::limit, "text",
                  fmt::format("the tokenizer's pattern gave up: {}", message_of(found)),
                  "Break the run of characters, or give the text in parts");
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data_.get());
    match = {static_cast<uint32_t>(ends[0]), static_cast<uint32_t>(ends[1])};
    return true;
  }

 private:
  int run(std::string_view text, size_t from, uint32_t options) {
    // A set of one pair cannot hold the groups, and then the count is 0.
    return pcre2_match(&code_, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                       options, data_.get(), &context_);
  }

  const pcre2_code& code_;
  pcre2_match_context& context_;
  MatchData data_;
};

}  // namespace

void Pattern::find(std::string_view text, TextRange piece, std::vector<TextRange>& matches) const {
  if (!literal_.empty()) {
    const std::string_view seen = text.substr(0, piece.end);
    for (size_t at = piece.begin; (at = seen.find(literal_, at)) != seen.npos;) {
      const size_t end = at + literal_.size();
      matches.push_back({static_cast<uint32_t>(at), static_cast<uint32_t>(end)});
      at = end;
    }
    return;
  }
  const std::string_view seen = text.substr(piece.begin, piece.end - piece.begin);
  Finder finder(*code_->code, *code_->context);
  TextRange match = {};
  size_t last_end = SIZE_MAX;
  // As rust-onig's find_iter: no empty match at the end of another.
  for (size_t from = 0; from <= seen.size() && finder.find(seen, from, match);) {
    if (match.begin == match.end && match.end == last_end) {
      from += std::max<size_t>(utf8_sequence_length(seen.substr(from)), 1);
      continue;
    }
    matches.push_back({piece.begin + match.begin, piece.begin + match.end});
    from = last_end = match.end;
  }
}

}  // namespace ropewalk
