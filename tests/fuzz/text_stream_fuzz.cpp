// text_stream_fuzz.cpp — a stream of tokens and stop strings made from the input: what is printed
// is the whole text cut at the stop that ends first, in whole characters.
//
// The input is read as: the number of stops (0 to 3), each stop's length and bytes, then tokens,
// each a length (0 to 15) and bytes.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/utf8.h"
#include "core/text/stream.h"

namespace {

using namespace ropewalk;

class Input {
 public:
  explicit Input(std::string_view bytes) : rest_(bytes) {}
  bool empty() const { return rest_.empty(); }
  size_t number(size_t limit) {
    return rest_.empty() ? 0 : static_cast<unsigned char>(bytes(1)[0]) % (limit + 1);
  }
  std::string_view bytes(size_t count) {
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(taken.size());
    return taken;
  }

 private:
  std::string_view rest_;
};

std::string printable_text(std::string_view bytes) {
  Utf8Assembler characters;
  const std::string text = characters.push(bytes);
  return text + characters.finish();
}

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input({reinterpret_cast<const char*>(data), size});
  std::vector<std::string> stops;
  for (size_t count = input.number(3); count > 0; --count) {
    const std::string_view stop = input.bytes(input.number(15));
    if (!stop.empty() && utf8_first_error(stop) == std::string_view::npos) stops.emplace_back(stop);
  }
  TextStream stream(stops, LeadingSpace::keep);
  std::string all, streamed;
  while (!input.empty()) {
    const std::string_view token = input.bytes(input.number(15));
    all += token;
    const std::string part = stream.push({.bytes = token});
    require(utf8_first_error(part) == std::string::npos);
    streamed += part;
  }
  streamed += stream.finish();
  const std::string text = printable_text(all);
  // Of several that end at one byte the longest.
  size_t start = text.size(), end = std::string::npos;
  for (const std::string& stop : stops) {
    const size_t at = text.find(stop);
    if (at == std::string::npos || at + stop.size() > end) continue;
    start = at + stop.size() < end ? at : std::min(start, at);
    end = at + stop.size();
  }
  require(streamed == text.substr(0, start));
  require(stream.stopped_by().has_value() == (end != std::string::npos));
  return 0;
}
