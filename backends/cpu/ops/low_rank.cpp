// y' = y + (g y + h) + (x . A) . B with the matrices and vectors of the row's adapter; y where it
// has none.
// Tasks: runs of rows with one adapter x panels of 32 ranks, then x blocks of columns. Each sum
// runs over its terms in order, so a row's bits do not depend on the other rows. Bottleneck: for
// one row the memory that the matrices stream from.
#include <algorithm>

#include "backends/cpu/numeric.h"
#include "backends/cpu/ops/ops.h"

namespace ropewalk::cpu {
namespace {

constexpr uint32_t kRunRows = 64;   // of a task
constexpr uint32_t kColumns = 256;  // of a task
// Rows of B that a task reads side by side: each is a stream of its own, far from the others.
constexpr uint32_t kRanksAtOnce = 8;

// Consecutive rows of one adapter, as long as a task takes them.
void plan_runs(const LowRank& op, const Frame& frame) {
  std::vector<RowBlock>& runs = frame.blocks;
  runs.clear();
  for (uint32_t r = 0; r < frame.rows(op.extent); ++r) {
    const bool joins = !runs.empty() && runs.back().count < kRunRows &&
                       adapter_of(frame.step, r, op.extent) ==
                           adapter_of(frame.step, runs.back().first, op.extent);
    if (joins)
      ++runs.back().count;
    else
      runs.push_back({r, 1});
  }
}

// A run, and the matrices of its adapter.
struct Job {
  Job(const LowRank& op_of, const Frame& frame_of, const RowBlock& rows_of)
      : op(op_of), frame(frame_of), rows(rows_of) {
    const uint32_t slot = adapter_of(frame.step, rows.first, op.extent);
    if (slot == abi::kNoAdapter) return;
    rank = static_cast<uint32_t>(op.ranks[slot]);
    a = op.a + uint64_t{slot} * op.depth * op.cap;
    b = op.b + uint64_t{slot} * op.cap * op.stride;
    if (op.vectors) gain = op.vectors + uint64_t{slot} * 2 * op.width;
  }

  const LowRank& op;
  const Frame& frame;
  const RowBlock rows;
  uint32_t rank = 0;            // 0: the adapter leaves this layer alone, or there is none
  const uint16_t* a = nullptr;  // (depth, cap) f16
  const uint16_t* b = nullptr;  // (cap, stride) f16
  const float* gain = nullptr;  // (2, width): behind it the shift; null: y stays

  float* middle() const { return frame.workspace + uint64_t{rows.first} * op.cap; }
};

// Ranks [first, first + 32) of the middle.
void shrink(const Job& job, uint32_t first) {
  const LowRank& op = job.op;
  float* middle = job.middle() + first;
  for (uint32_t r = 0; r < job.rows.count; ++r)
    std::fill_n(middle + uint64_t{r} * op.cap, kPanel, 0.0f);
  job.frame.kernels.multiply_f16({middle, op.x + uint64_t{job.rows.first} * op.depth, job.a + first,
                                  op.cap, op.depth, op.cap, job.rows.count, op.depth, kPanel});
}

// Columns [first, last) of the result.
void expand(const Job& job, uint32_t first, uint32_t last) {
  const LowRank& op = job.op;
  const uint64_t at = uint64_t{job.rows.first} * op.width;
  float* result = op.result + at;
  for (uint32_t r = 0; r < job.rows.count; ++r) {
    const float* y = op.y + at + uint64_t{r} * op.width;
    float* to = result + uint64_t{r} * op.width;
    if (!job.gain)
      std::copy(y + first, y + last, to + first);
    else
      for (uint32_t n = first; n < last; ++n)
        to[n] = y[n] + (job.gain[n] * y[n] + job.gain[op.width + n]);
  }
  if (job.rank == 0) return;
  const uint32_t whole = (last - first) / kPanel * kPanel;
  for (uint32_t i = 0; i < job.rank; i += kRanksAtOnce)
    job.frame.kernels.multiply_f16(
        {result + first, job.middle() + i, job.b + uint64_t{i} * op.stride + first, op.width,
         op.cap, op.stride, job.rows.count, std::min(kRanksAtOnce, job.rank - i), whole});
  for (uint32_t n = first + whole; n < last; ++n)
    for (uint32_t r = 0; r < job.rows.count; ++r)
      for (uint32_t i = 0; i < job.rank; ++i)
        result[uint64_t{r} * op.width + n] +=
            job.middle()[uint64_t{r} * op.cap + i] * f32_of_f16(job.b[uint64_t{i} * op.stride + n]);
}

}  // namespace

uint64_t low_rank_workspace(uint32_t rows, uint32_t cap) { return uint64_t{rows} * cap; }

void low_rank(const LowRank& op, const Frame& frame) noexcept {
  plan_runs(op, frame);
  const auto runs = static_cast<uint32_t>(frame.blocks.size());
  const uint32_t panels = op.cap / kPanel, blocks = (op.width + kColumns - 1) / kColumns;
  const double product = 0.1 * frame.rows(op.extent) * op.cap;
  frame.pool.run(runs * panels, product * op.depth, [&](uint32_t task, uint32_t) noexcept {
    const Job job(op, frame, frame.blocks[task / panels]);
    const uint32_t first = task % panels * kPanel;
    if (first < job.rank) shrink(job, first);
  });
  frame.pool.run(runs * blocks, product * op.width, [&](uint32_t task, uint32_t) noexcept {
    const uint32_t first = task % blocks * kColumns;
    expand(Job(op, frame, frame.blocks[task / blocks]), first,
           std::min(first + kColumns, op.width));
  });
}

}  // namespace ropewalk::cpu
