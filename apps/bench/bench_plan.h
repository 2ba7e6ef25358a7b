// bench_plan.h — what `ropewalk bench` times: prompts, and batches of single tokens after a
// context.
#pragma once

#include <cstdint>
#include <vector>

#include "apps/bench/bench_runs.h"
#include "apps/commands.h"
#include "core/abi/kv_page.h"
#include "core/config/config.h"

namespace ropewalk {

// What to time without --prompt and --batch: one row, or the table of the reference workload.
enum class BenchDefault { one_row, table };

struct BenchPlan {
  uint32_t page_tokens = abi::kDefaultPageTokens;
  std::vector<uint32_t> prefills;  // tokens
  std::vector<DecodeRun> decodes;
  std::vector<DecodeRun> left_out;  // too large for the device's memory

  uint32_t context_length() const;
  uint32_t batch() const;  // the largest
  uint32_t pages_of(const DecodeRun& run) const;
  uint32_t pages() const;  // of the cache: max over the rows, which run one at a time

  // Leaves out the run with the most pages; false where nothing can be left out.
  bool leave_out_largest();
};

// Cuts prompts and steps to fit the context, with a note. The configuration says how large a page
// is.
BenchPlan make_bench_plan(const BenchArguments& arguments, BenchDefault fallback,
                          const Config& config, uint32_t context_length);

}  // namespace ropewalk
