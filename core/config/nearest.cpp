#include "core/config/nearest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

namespace ropewalk {
namespace {

// A longer name is no typing error, and the distance takes quadratic time.
constexpr size_t kMaxNameLength = 64;
constexpr size_t kMinPrefix = 3;

size_t edits(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> cost(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, changed});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

// Letters and digits alone, in lower case: "Llama2" and "llama-2" are one name.
std::string bare(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) out += c;
    if (c >= 'A' && c <= 'Z') out += static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// The one that is the same except for case and punctuation, or the first that goes on from there.
std::string same_start(std::string_view name, std::span<const std::string> candidates) {
  const std::string wanted = bare(name);
  if (wanted.size() < kMinPrefix) return "";
  for (const std::string& candidate : candidates)
    if (bare(candidate) == wanted) return candidate;
  const auto longer = std::ranges::find_if(candidates, [&](const std::string& candidate) {
    return bare(candidate).starts_with(wanted);
  });
  return longer == candidates.end() ? "" : *longer;
}

}  // namespace

std::string nearest(std::string_view name, std::span<const std::string> candidates) {
  if (name.size() > kMaxNameLength) return "";
  if (const std::string same = same_start(name, candidates); !same.empty()) return same;
  size_t best = std::max<size_t>(2, name.size() / 3) + 1;
  std::string found;
  for (const std::string& candidate : candidates) {
    const size_t distance = edits(name, candidate);
    if (distance < best) {
      best = distance;
      found = candidate;
    }
  }
  return found;
}

std::string suggestion(std::string_view name, std::span<const std::string> candidates) {
  if (candidates.empty()) return "";
  const std::string near = nearest(name, candidates);
  if (!near.empty()) return fmt::format("Did you mean {}", near);
  return fmt::format("Known are {}", fmt::join(candidates, ", "));
}

}  // namespace ropewalk
