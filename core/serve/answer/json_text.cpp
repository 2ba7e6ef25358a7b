#include "core/serve/answer/json_text.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "core/json/json.h"

namespace ropewalk::serve {
namespace {

struct Escape {
  std::string_view bytes, text;
};
// None of these bytes stands outside of a JSON string.
constexpr std::array kEscapes = {Escape{"\x7f", "\\u007f"}, Escape{"\xc2\x85", "\\u0085"},
                                 Escape{"\xe2\x80\xa8", "\\u2028"},
                                 Escape{"\xe2\x80\xa9", "\\u2029"}};

}  // namespace

std::string json_text(const Json& json) {
  std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  for (const Escape& escape : kEscapes)
    for (size_t at = 0; (at = text.find(escape.bytes, at)) != std::string::npos;
         at += escape.text.size())
      text.replace(at, escape.bytes.size(), escape.text);
  return text;
}

std::string json_string(std::string_view text) {
  const auto stays = [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; };
  if (!std::ranges::all_of(text, stays)) return json_text(std::string(text));
  return '"' + std::string(text) + '"';
}

std::string event(const Json& json) { return "data: " + json_text(json) + "\n\n"; }

}  // namespace ropewalk::serve
