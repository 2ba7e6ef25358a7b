// split_regex_fuzz.cpp — a line that is a pattern and a text behind it: the pattern is refused in
// words, or its matches lie in the text in order.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/utf8.h"
#include "core/pattern/pattern.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ropewalk;
  std::string_view input(reinterpret_cast<const char*>(data), size);
  input = input.substr(0, std::min(utf8_first_error(input), input.size()));
  const size_t end = std::min(input.find('\n'), input.size());
  const std::string_view text = input.substr(std::min(end + 1, input.size()));
  try {
    const Pattern pattern = Pattern::regex(input.substr(0, end), "pattern");
    const std::string subject = with_stand_ins(text, pattern.stand_ins());
    if (subject.size() != text.size()) std::abort();
    std::vector<TextRange> found;
    pattern.find(subject, {0, static_cast<uint32_t>(subject.size())}, found);
    uint32_t last = 0;
    for (const TextRange& match : found) {
      if (match.begin < last || match.end < match.begin || match.end > text.size()) std::abort();
      last = match.end;
    }
  } catch (const Error& error) {
    if (error.code() != ExitCode::model && error.code() != ExitCode::limit) std::abort();
  }
  return 0;
}
