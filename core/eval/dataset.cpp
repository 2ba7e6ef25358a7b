#include "core/eval/dataset.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/json/json.h"

namespace ropewalk {
namespace {

constexpr size_t kLongestSkipped = 50;  // characters; as exllama skips them

size_t characters(std::string_view utf8) {
  return static_cast<size_t>(std::count_if(utf8.begin(), utf8.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

}  // namespace

std::vector<std::string> jsonl_texts(std::string_view jsonl, const std::string& file,
                                     size_t limit) {
  std::vector<std::string> texts;
  if (limit == 0) return texts;
  const auto take = [&](const Json& object, const JsonSource& line) {
    std::string text = JsonFields(object, line, "").text("text");
    if (characters(text) > kLongestSkipped) texts.push_back(std::move(text));
    return texts.size() < limit;
  };
  for_each_json_line(jsonl, {file, ExitCode::usage}, take);
  return texts;
}

}  // namespace ropewalk
