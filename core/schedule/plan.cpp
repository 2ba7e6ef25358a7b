#include "core/schedule/plan.h"

#include <algorithm>

namespace ropewalk {
namespace {

constexpr uint32_t kOldestShare = 4;  // the oldest one's part: a quarter
constexpr uint32_t kMinShare = 8;     // prompts get an eighth of a step that is full of replies
// A step this narrow is always filled: a prompt that gets a row or two beside the replies would
// take hundreds of steps, each of which reads all weights.
constexpr uint32_t kNarrowStep = 16;

// What is left of a step while rows are handed out.
struct Rest {
  uint32_t rows;    // for prompts
  uint32_t wanted;  // beyond one for each request

  // Gives a request up to `max_rows` more rows. Returns the rows that it has then.
  uint32_t give(const PlanView& request, uint32_t has, uint32_t max_rows) {
    uint32_t more = std::min({request.pending - has, max_rows, rows});
    if (request.scores) {
      const uint32_t own = has == 0 ? 1 : 0;
      more = std::min(more, own + wanted);
      wanted -= more - std::min(more, own);
    }
    rows -= more;
    return has + more;
  }
};

// Rows for prompts beside `replies` rows of replies.
uint32_t prompt_rows(const PlanBudget& budget, uint32_t replies) {
  if (replies == 0) return budget.rows;
  const uint32_t shared =
      std::max(static_cast<uint32_t>(budget.prefill_share * budget.rows), kNarrowStep);
  const uint32_t rows = std::max({shared - std::min(shared, replies), budget.rows / kMinShare, 1u});
  return std::min(rows, budget.rows - replies);
}

}  // namespace

std::vector<uint32_t> plan_step(std::span<const PlanView> requests, const PlanBudget& budget) {
  std::vector<uint32_t> plan(requests.size(), 0);
  std::vector<size_t> prompts;  // oldest first
  uint32_t replies = 0, active = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    if (requests[i].rests) continue;
    ++active;
    if (requests[i].pending > 1) {
      prompts.push_back(i);
    } else {
      plan[i] = 1;
      ++replies;
    }
  }
  if (prompts.empty()) return plan;

  Rest rest{prompt_rows(budget, replies), budget.wanted - active};
  const size_t oldest = prompts.front();
  std::ranges::stable_sort(prompts, {}, [&](size_t i) { return requests[i].pending; });
  plan[oldest] = rest.give(requests[oldest], 0, std::max(rest.rows / kOldestShare, 1u));
  for (const size_t i : prompts)
    if (i != oldest) plan[i] = rest.give(requests[i], 0, rest.rows);
  plan[oldest] = rest.give(requests[oldest], plan[oldest], rest.rows);
  return plan;
}

}  // namespace ropewalk
