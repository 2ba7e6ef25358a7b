#include "apps/bench/bench_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/log.h"

namespace ropewalk {
namespace {

std::vector<uint32_t> value_or(const std::vector<uint32_t>& values,
                               std::vector<uint32_t> fallback) {
  return values.empty() ? std::move(fallback) : values;
}

// The counts without duplicates, each at most `max`.
std::vector<uint32_t> cut_down(const std::vector<uint32_t>& wanted, uint32_t max,
                               uint32_t context_length) {
  std::vector<uint32_t> counts;
  for (const uint32_t count : wanted) {
    if (count > max)
      note(fmt::format("the context holds {} tokens: a prompt of {} instead of {}", context_length,
                       max, count));
    if (const uint32_t cut = std::min(count, max); std::ranges::find(counts, cut) == counts.end())
      counts.push_back(cut);
  }
  return counts;
}

}  // namespace

uint32_t BenchPlan::context_length() const {
  uint32_t max = 0;
  for (const uint32_t tokens : prefills) max = std::max(max, tokens);
  for (const DecodeRun& run : decodes) max = std::max(max, run.context + run.steps);
  return max;
}

uint32_t BenchPlan::batch() const {
  uint32_t max = 1;
  for (const DecodeRun& run : decodes) max = std::max(max, run.batch);
  return max;
}

uint32_t BenchPlan::pages_of(const DecodeRun& run) const {
  return run.batch * abi::pages_for(run.context + run.steps, page_tokens);
}

uint32_t BenchPlan::pages() const {
  uint32_t max = 0;
  for (const uint32_t tokens : prefills) max = std::max(max, abi::pages_for(tokens, page_tokens));
  for (const DecodeRun& run : decodes) max = std::max(max, pages_of(run));
  return max;
}

bool BenchPlan::leave_out_largest() {
  if (decodes.size() < 2) return false;
  const auto largest =
      std::ranges::max_element(decodes, {}, [this](const DecodeRun& run) { return pages_of(run); });
  left_out.push_back(*largest);
  decodes.erase(largest);
  return true;
}

BenchPlan make_bench_plan(const BenchArguments& arguments, BenchDefault fallback,
                          const Config& config, uint32_t context_length) {
  const bool table = fallback == BenchDefault::table;
  const uint32_t steps = std::min(arguments.decode, std::max(context_length / 2, 1u));
  if (steps < arguments.decode)
    note(fmt::format("the context holds {} tokens: {} decode steps instead of {}", context_length,
                     steps, arguments.decode));
  using Counts = std::vector<uint32_t>;
  const Counts one = {512};
  const auto room = [&](uint32_t decoded) { return std::max(context_length - decoded, 1u); };
  BenchPlan plan;
  plan.page_tokens = config.context.page_tokens;
  if (table) {
    plan.prefills = cut_down({512, 2048, 8192}, context_length, context_length);
  } else {
    plan.prefills = cut_down(value_or(arguments.prompts, one), room(steps), context_length);
  }
  const Counts contexts =
      table ? cut_down({512, 4096, 8192}, room(steps), context_length) : plan.prefills;
  for (const uint32_t batch : table ? Counts{1, 8, 32} : value_or(arguments.batches, {1}))
    for (const uint32_t context : contexts) {
      plan.decodes.push_back({batch, context, steps});
      if (arguments.adapters)
        plan.decodes.push_back({batch, context, steps, std::min(batch, arguments.adapters)});
    }
  return plan;
}

}  // namespace ropewalk
