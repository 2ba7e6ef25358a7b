#include "core/bpe/merge_word.h"

#include <algorithm>
#include <array>
#include <functional>
#include <queue>

namespace ropewalk {
namespace {

// Up to here looking at every pair for each merge is faster than a heap.
constexpr size_t kShort = 64;
constexpr uint32_t kNoRank = UINT32_MAX;

uint32_t rank_of(const MergeTable& merges, int32_t left, int32_t right) {
  const Merge* merge = merges.find(left, right);
  return merge ? merge->rank : kNoRank;
}

size_t merge_short(const MergeTable& merges, int32_t* symbols, size_t count) {
  std::array<uint32_t, kShort> ranks;  // of symbol i with the next
  for (size_t i = 0; i + 1 < count; ++i) ranks[i] = rank_of(merges, symbols[i], symbols[i + 1]);
  while (count > 1) {
    const auto best = static_cast<size_t>(
        std::min_element(ranks.begin(), ranks.begin() + static_cast<std::ptrdiff_t>(count - 1)) -
        ranks.begin());
    if (ranks[best] == kNoRank) break;
    symbols[best] = merges.find(symbols[best], symbols[best + 1])->id;
    --count;
    for (size_t i = best + 1; i < count; ++i) {
      symbols[i] = symbols[i + 1];
      ranks[i - 1] = ranks[i];
    }
    if (best > 0) ranks[best - 1] = rank_of(merges, symbols[best - 1], symbols[best]);
    if (best + 1 < count) ranks[best] = rank_of(merges, symbols[best], symbols[best + 1]);
  }
  return count;
}

// A place in a list that shrinks.
struct Link {
  uint32_t previous, next;
};

struct Candidate {
  uint32_t rank, at;
  int32_t left, right;  // as they were: a neighbour may have merged since
  bool operator>(const Candidate& other) const {
    return rank != other.rank ? rank > other.rank : at > other.at;
  }
};

constexpr uint32_t kEnd = UINT32_MAX;

size_t merge_long(const MergeTable& merges, int32_t* symbols, size_t count) {
  std::vector<Link> links(count);
  std::vector<Candidate> first;
  const auto candidate = [&](uint32_t at, auto&& take) {
    const uint32_t next = links[at].next;
    if (next == kEnd) return;
    const uint32_t rank = rank_of(merges, symbols[at], symbols[next]);
    if (rank != kNoRank) take(Candidate{rank, at, symbols[at], symbols[next]});
  };
  for (uint32_t i = 0; i < count; ++i) links[i] = {i - 1, i + 1 < count ? i + 1 : kEnd};
  for (uint32_t i = 0; i < count; ++i)
    candidate(i, [&](const Candidate& found) { first.push_back(found); });
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue(std::greater<>(),
                                                                               std::move(first));
  const auto push = [&](const Candidate& found) { queue.push(found); };

  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    const uint32_t next = links[top.at].next;
    if (symbols[top.at] != top.left || next == kEnd || symbols[next] != top.right) continue;
    symbols[top.at] = merges.find(top.left, top.right)->id;
    symbols[next] = -1;
    links[top.at].next = links[next].next;
    if (links[next].next != kEnd) links[links[next].next].previous = top.at;
    if (top.at != 0) candidate(links[top.at].previous, push);
    candidate(top.at, push);
  }
  return static_cast<size_t>(std::remove(symbols, symbols + count, -1) - symbols);
}

}  // namespace

void merge_word(const MergeTable& merges, std::vector<int32_t>& symbols, size_t first) {
  int32_t* word = symbols.data() + first;
  const size_t count = symbols.size() - first;
  const size_t left =
      count <= kShort ? merge_short(merges, word, count) : merge_long(merges, word, count);
  symbols.resize(first + left);
}

}  // namespace ropewalk
