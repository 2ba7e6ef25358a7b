// bench_plan.h — what `ropewalk bench` times: prompts, and batches of single tokens after a
// context.
#pragma once

#include <cstdint>
#include <vector>

#include "apps/bench/bench_runs.h"
#include "apps/commands.h"

namespace ropewalk {

// Where no --prompt or no --batch is given one row each; the table of the reference workload where
// neither is.
enum class BenchDefault { one_row, table };

struct BenchPlan {
  std::vector<uint32_t> prefills;  // tokens
  std::vector<DecodeRun> decodes;
  std::vector<DecodeRun> left_out;  // what the device's memory does not hold

  uint32_t context_length() const;
  uint32_t batch() const;  // the largest
  uint32_t pages() const;  // of the cache, so that each row fits by itself

  // Leaves out what needs most pages; false where nothing can be left out.
  bool leave_out_largest();
};

// Cut down to what a context of `most` tokens holds, with a note.
BenchPlan make_bench_plan(const BenchArguments& arguments, BenchDefault otherwise, uint32_t most);

}  // namespace ropewalk
