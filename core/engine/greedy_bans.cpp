#include "core/engine/greedy_bans.h"

#include <charconv>

namespace ropewalk {
namespace {

// Adds what a lone "ban-tokens" of ids bans. Whether that is all it does, written plainly.
bool add_bans(const PluginChoice& choice, std::span<const int32_t> end_ids,
              std::vector<int32_t>& ids) {
  if (choice.name != "ban-tokens" || choice.main) return false;
  for (const ConfigEntry& option : choice.options) {
    if (option.key == "end" && option.value.text == "true") {
      ids.insert(ids.end(), end_ids.begin(), end_ids.end());
    } else if (option.key == "ids" && option.value.kind == ValueKind::list) {
      for (const ConfigValue& item : option.value.items) {
        const char* const end = item.text.data() + item.text.size();
        const auto [at, error] = std::from_chars(item.text.data(), end, ids.emplace_back());
        if (error != std::errc() || at != end) return false;
      }
    } else if (option.key != "end" || option.value.text != "false") {
      return false;
    }
  }
  return true;
}

}  // namespace

std::optional<std::vector<int32_t>> greedy_bans(std::span<const PluginChoice> samplers,
                                                std::span<const int32_t> end_ids) {
  std::vector<int32_t> ids;
  if (samplers.empty()) return ids;
  if (samplers.back().name != "greedy") return std::nullopt;
  for (const PluginChoice& choice : samplers.first(samplers.size() - 1))
    if (!add_bans(choice, end_ids, ids)) return std::nullopt;
  return ids;
}

}  // namespace ropewalk
