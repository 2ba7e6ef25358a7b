// batch_pages.cpp — the plan of a step that the free pages suffice for, and who gives up its own.
#include <algorithm>
#include <tuple>

#include "core/schedule/batch.h"

namespace ropewalk {

// The rows of each running request, for which there are pages.
std::vector<uint32_t> Batch::plan_within_pages() {
  for (;;) {
    std::vector<PlanView> views;
    for (const auto& job : running_)
      views.push_back(
          {job->text.pending(), job->running.scores_prompt(), job->resting_since.has_value()});
    std::vector<uint32_t> rows = plan_step(views, budget_);
    uint32_t missing = 0;
    for (size_t i = 0; i < rows.size(); ++i)
      missing += running_[i]->text.sequence().missing_pages(rows[i]);
    const uint32_t free = served_.cache.free_pages();
    if (missing <= free || prefixes_.evict(missing - free) == missing - free) return rows;
    preempt(victim());
  }
}

// One whose reader is slow, else the one with the lowest priority, else the youngest. The oldest
// that can run keeps its pages, so that something always ends.
Job& Batch::victim() {
  const auto oldest =
      std::ranges::find_if(running_, [](const auto& job) { return !job->resting_since; });
  const auto key = [](const Job& job) {
    return std::tuple(!job.resting_since, job.terms.priority, -static_cast<int64_t>(job.number));
  };
  Job* victim = nullptr;
  for (const auto& job : running_)
    if (job != *oldest && (!victim || key(*job) < key(*victim))) victim = job.get();
  return *victim;
}

// What is known of its pages may still be found when it comes back; the rest is computed again.
void Batch::preempt(Job& job) {
  job.text.uncache();
  ++job.preemptions;
  counters_.preempted();
  const auto place =
      std::ranges::find_if(running_, [&](const auto& other) { return other.get() == &job; });
  waiting_.push_back(std::move(*place));
  running_.erase(place);
}

}  // namespace ropewalk
