// batch_admission.cpp — who of those that wait runs next, and whether there is room.
#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

#include "core/schedule/batch.h"

namespace ropewalk {

// In order, without passing one that does not fit: otherwise a long prompt would wait for ever.
void Batch::admit(Time now) {
  for (;;) {
    const auto next = next_waiting(now);
    if (next == waiting_.end()) return;
    Job& job = **next;
    if (uses_prefixes(job)) job.text.adopt(prefixes_.find(job.prefix_salt(), job.text.ids()));
    if (running_.size() < settings_.max_running && has_room(job) && has_slot(job)) {
      start(job, now);
      const auto place = std::ranges::upper_bound(running_, job.number, {},
                                                  [](const auto& other) { return other->number; });
      running_.insert(place, std::move(*next));
      waiting_.erase(next);
    } else {
      job.text.uncache();
      if (!preempt_resting()) return;
    }
  }
}

// The one with the highest priority, in which time counts too, so that none waits for ever; among
// equals the one whose account has had the least, then who came first. One whose reader is slow, or
// whose account has all that it may have, is passed over.
Batch::Jobs::iterator Batch::next_waiting(Time now) {
  const auto key = [&](const Job& job) {
    const double aged = seconds_between(job.submitted, now) / settings_.age_time.count();
    return std::tuple(-(job.terms.priority + std::floor(aged)),
                      accounts_.charged(job.terms.account), job.number);
  };
  auto best = waiting_.end();
  for (auto job = waiting_.begin(); job != waiting_.end(); ++job) {
    if ((*job)->resting_since || follows_a_prompt(**job) || !account_has_room(**job)) continue;
    if (best == waiting_.end() || key(**job) < key(**best)) best = job;
  }
  return best;
}

// Whether a prompt that is going in will make pages known that `job` begins with. Then it waits for
// them: several replies to one prompt compute it once.
bool Batch::follows_a_prompt(const Job& job) const {
  if (!uses_prefixes(job)) return false;
  return std::ranges::any_of(running_, [&](const auto& other) {
    if (other->first_token || other->resting_since) return false;
    if (other->prefix_salt() != job.prefix_salt()) return false;
    const auto same =
        std::ranges::mismatch(job.text.ids().first(job.text.size() - 1), other->text.ids()).in1 -
        job.text.ids().begin();
    return static_cast<uint32_t>(same) / served_.cache.page_tokens() > other->known_pages;
  });
}

bool Batch::account_has_room(const Job& job) const {
  if (!job.terms.account_running) return true;
  const auto same = [&](const auto& other) { return other->terms.account == job.terms.account; };
  return std::ranges::count_if(running_, same) < int64_t{*job.terms.account_running};
}

// A prompt that is scored runs as a whole.
bool Batch::uses_prefixes(const Job& job) const {
  return settings_.prefixes == PrefixCaching::on && !job.scores_prompt;
}

// Whether the pages suffice for what runs and for `job`, as far as it can be known. Somebody who is
// alone always fits, since no request has more tokens than all pages hold.
bool Batch::has_room(const Job& job) const {
  if (running_.empty()) return true;
  uint32_t needed = outstanding_pages(job);
  for (const auto& other : running_) needed += outstanding_pages(*other);
  // A page for each, since each may be at a page's end.
  if (settings_.reserve == Reserve::prompt) needed += static_cast<uint32_t>(running_.size());
  return needed <= served_.cache.free_pages() + prefixes_.evictable();
}

// Whether what runs leaves a slot for the job's adapter.
bool Batch::has_slot(const Job& job) const {
  std::set<uint32_t> adapters = {job.adapter()};
  for (const auto& other : running_) adapters.insert(other->adapter());
  adapters.erase(abi::kNoAdapter);
  return adapters.size() <= served_.executor.adapter_slots();
}

// Pages that it will take for certain.
uint32_t Batch::outstanding_pages(const Job& job) const {
  const uint32_t tokens = settings_.reserve == Reserve::full ? job.full_length() : job.text.size();
  return job.missing_pages(tokens);
}

void Batch::start(Job& job, Time now) {
  const uint32_t found = job.text.cached();
  job.known_pages = served_.cache.pages_for(found);
  if (!job.first_run) {
    job.first_run = now;
    job.cached_tokens = found;
  }
  counters_.started(job, found, uses_prefixes(job));
}

// A request that rests holds pages and a place that others could use.
bool Batch::preempt_resting() {
  if (settings_.reserve == Reserve::full) return false;
  const auto resting = std::ranges::find_if(
      running_, [](const auto& job) { return job->resting_since.has_value(); });
  if (resting == running_.end()) return false;
  preempt(**resting);
  return true;
}

}  // namespace ropewalk
