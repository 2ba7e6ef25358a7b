// plan.h — which requests get how many rows of the next step. A pure function.
//
// Every reply gets its row, so that no prompt delays it. The others go to prompts, the shortest
// rest first, because that ends most of them soonest; a quarter is the oldest one's, so that it
// ends too. At most two prompts are cut.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ropewalk {

// A request as the plan sees it.
struct PlanView {
  uint32_t pending;     // tokens that it could run; 1: a reply, or the last token of a prompt
  bool scores = false;  // logits are wanted of all its rows, otherwise of the last pending one
  bool rests = false;   // gets nothing
};

struct PlanBudget {
  uint32_t rows;    // of a step
  uint32_t wanted;  // rows whose logits are read
  // Of `rows`, the rows of a step in which there are replies; but at least 16.
  double prefill_share;
};

// The rows of each request, in their order; 0: not in this step. The requests are in the order of
// their age, the oldest first. REQUIRES: no more requests than `rows` and than `wanted`; each has a
// pending token.
std::vector<uint32_t> plan_step(std::span<const PlanView> requests, const PlanBudget& budget);

}  // namespace ropewalk
