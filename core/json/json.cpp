#include "core/json/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/json/json_tree.h"

namespace ropewalk {
namespace {

// Two bytes of text can become 100 bytes of tree, so the count of values bounds the memory.
constexpr size_t kMaxValues = 2'000'000;

}  // namespace

// The address stays valid while the value is open: its parent grows only after it is closed.
Json* JsonTreeBuilder::add(Json value) {
  if (++values_ > kMaxValues)
    throw Error(source_.code, source_.file,
                fmt::format("holds more than {} JSON values", kMaxValues), "");
  if (open_.empty()) return &(root_ = std::move(value));
  Json& parent = *open_.back();
  if (parent.is_array()) {
    auto& items = parent.get_ref<Json::array_t&>();
    return &items.emplace_back(std::move(value));
  }
  // The map's own insertion searches all earlier keys; walk_json() has refused duplicates already.
  auto& members = parent.get_ref<Json::object_t&>();
  return &members.emplace_back(std::move(key_), std::move(value)).second;
}

Json parse_json(std::string_view text, const JsonSource& source) {
  Json root;
  JsonTreeBuilder builder(source, root);
  walk_json(text, source, builder);
  return root;
}

void for_each_json_line(std::string_view lines, const JsonSource& source,
                        const std::function<bool(const Json&, const JsonSource&)>& take) {
  for (size_t number = 1; !lines.empty(); ++number) {
    const size_t end = std::min(lines.find('\n'), lines.size());
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 1, lines.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const JsonSource place{fmt::format("{}:{}", source.file, number), source.code, source.advice};
    if (!take(parse_json(line, place), place)) return;
  }
}

}  // namespace ropewalk
