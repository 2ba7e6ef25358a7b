#include "apps/bench/bench_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/log.h"
#include "core/exec/kv_cache.h"

namespace ropewalk {
namespace {

uint32_t pages_of(const DecodeRun& run) {
  return run.batch * KvCache::pages_for(run.context + run.steps);
}

std::vector<uint32_t> given_or(const std::vector<uint32_t>& given,
                               std::vector<uint32_t> otherwise) {
  return given.empty() ? std::move(otherwise) : given;
}

// Each once, none above `most`.
std::vector<uint32_t> cut_down(const std::vector<uint32_t>& wanted, uint32_t most,
                               uint32_t context_length) {
  std::vector<uint32_t> counts;
  for (const uint32_t count : wanted) {
    if (count > most)
      note(fmt::format("the context holds {} tokens: a prompt of {} instead of {}", context_length,
                       most, count));
    if (const uint32_t cut = std::min(count, most); std::ranges::find(counts, cut) == counts.end())
      counts.push_back(cut);
  }
  return counts;
}

}  // namespace

uint32_t BenchPlan::context_length() const {
  uint32_t most = 0;
  for (const uint32_t tokens : prefills) most = std::max(most, tokens);
  for (const DecodeRun& run : decodes) most = std::max(most, run.context + run.steps);
  return most;
}

uint32_t BenchPlan::batch() const {
  uint32_t most = 1;
  for (const DecodeRun& run : decodes) most = std::max(most, run.batch);
  return most;
}

uint32_t BenchPlan::pages() const {
  uint32_t most = 0;
  for (const uint32_t tokens : prefills) most = std::max(most, KvCache::pages_for(tokens));
  for (const DecodeRun& run : decodes) most = std::max(most, pages_of(run));
  return most;
}

bool BenchPlan::leave_out_largest() {
  if (decodes.size() < 2) return false;
  const auto largest = std::ranges::max_element(decodes, {}, pages_of);
  left_out.push_back(*largest);
  decodes.erase(largest);
  return true;
}

BenchPlan make_bench_plan(const BenchArguments& arguments, BenchDefault otherwise, uint32_t most) {
  const bool table = otherwise == BenchDefault::table;
  const uint32_t steps = std::min(arguments.decode, std::max(most / 2, 1u));
  if (steps < arguments.decode)
    note(fmt::format("the context holds {} tokens: {} decode steps instead of {}", most, steps,
                     arguments.decode));
  using Counts = std::vector<uint32_t>;
  const Counts one = {512};
  const auto room = [&](uint32_t decoded) { return std::max(most - decoded, 1u); };
  BenchPlan plan;
  if (table) {
    plan.prefills = cut_down({512, 2048, 8192}, most, most);
  } else {
    plan.prefills = cut_down(given_or(arguments.prompts, one), room(steps), most);
  }
  const Counts contexts = table ? cut_down({512, 4096, 8192}, room(steps), most) : plan.prefills;
  for (const uint32_t batch : table ? Counts{1, 8, 32} : given_or(arguments.batches, {1}))
    for (const uint32_t context : contexts) plan.decodes.push_back({batch, context, steps});
  return plan;
}

}  // namespace ropewalk
