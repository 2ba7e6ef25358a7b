// y' = y + (g y + h) + (x . A) . B with the matrices and vectors of the row's adapter; y where it
// has none.
// Tasks: runs of rows with one adapter x parts of x . A, then x blocks of columns. x . A is summed
// over 512 terms at a time, and these sums in their order, so a row's bits do not depend on the
// other rows. Bottleneck: for few rows the memory that the matrices stream from, so a task reads A
// from end to end, and B in pieces as long as can be.
#include <algorithm>

#include "backends/cpu/numeric.h"
#include "backends/cpu/ops/ops.h"

namespace ropewalk::cpu {
namespace {

constexpr uint32_t kDepth = 512;   // terms of a sum of x . A
constexpr uint32_t kTurn = 128;    // of them that one panel of ranks takes before the next
constexpr uint32_t kRunRows = 64;  // of a run
// A run of so many rows is small: its tasks are the depths of x . A. Those of a larger one are its
// panels of ranks.
constexpr uint32_t kSmallRun = 8;
constexpr uint32_t kColumns = 256;        // of a task of a large run
constexpr uint32_t kFewestColumns = 512;  // of a task of a small one
// Rows of B that a task reads side by side: each is a stream of its own, far from the others.
constexpr uint32_t kRanksAtOnce = 8;

uint32_t depths_of(uint32_t depth) { return (depth + kDepth - 1) / kDepth; }

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
      : op(op_of), frame(frame_of), rows(rows_of), depths(depths_of(op.depth)) {
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
  const uint32_t depths;
  uint32_t rank = 0;            // 0: the adapter leaves this layer alone, or there is none
  const uint16_t* a = nullptr;  // (depth, cap) f16
  const uint16_t* b = nullptr;  // (cap, stride) f16
  const float* gain = nullptr;  // (2, width): behind it the shift; null: y stays

  bool small() const { return rows.count <= kSmallRun; }
  uint32_t panels() const { return (rank + kPanel - 1) / kPanel; }
  // x . A of the run's row: of a small run (depths, cap), else the first cap floats of them.
  float* middle(uint32_t row) const {
    return frame.workspace + uint64_t{rows.first + row} * depths * op.cap;
  }
  // sums (rows, ...) += x . A over the terms [k, k + count), ranks [first, first + 32)
  void multiply(float* sums, size_t stride, uint32_t k, uint32_t count, uint32_t first) const {
    const float* x = op.x + uint64_t{rows.first} * op.depth + k;
    frame.kernels.multiply_f16({sums, x, a + uint64_t{k} * op.cap + first, stride, op.depth, op.cap,
                                rows.count, count, kPanel});
  }
};

// All ranks over the terms of one depth. The panels lie side by side in the rows of A, so they take
// turns before these leave the cache.
void shrink_depth(const Job& job, uint32_t depth) {
  const uint32_t cap = job.op.cap, begin = depth * kDepth;
  const uint32_t end = std::min(begin + kDepth, job.op.depth);
  float* sums = job.middle(0) + uint64_t{depth} * cap;
  const size_t stride = uint64_t{job.depths} * cap;
  for (uint32_t r = 0; r < job.rows.count; ++r)
    std::fill_n(sums + r * stride, job.panels() * kPanel, 0.0f);
  for (uint32_t k = begin; k < end; k += kTurn)
    for (uint32_t panel = 0; panel < job.panels(); ++panel)
      job.multiply(sums + panel * kPanel, stride, k, std::min(kTurn, end - k), panel * kPanel);
}

// 32 ranks over all terms.
void shrink_panel(const Job& job, uint32_t panel) {
  alignas(64) float sums[kRunRows * kPanel];
  for (uint32_t k = 0; k < job.op.depth; k += kDepth) {
    std::fill_n(sums, job.rows.count * kPanel, 0.0f);
    job.multiply(sums, kPanel, k, std::min(kDepth, job.op.depth - k), panel * kPanel);
    for (uint32_t r = 0; r < job.rows.count; ++r) {
      float* to = job.middle(r) + panel * kPanel;
      for (uint32_t i = 0; i < kPanel; ++i)
        to[i] = k ? to[i] + sums[r * kPanel + i] : sums[r * kPanel + i];
    }
  }
}

// The middle of a run: (rows, rank) with a stride.
struct Middle {
  const float* at;
  size_t stride;
};

// Of a small run the sums over the depths, in their order.
Middle middle_of(const Job& job, float* room) {
  const uint32_t cap = job.op.cap;
  if (!job.small()) return {job.middle(0), uint64_t{job.depths} * cap};
  for (uint32_t r = 0; r < job.rows.count; ++r) {
    const float* part = job.middle(r);
    float* sum = room + r * cap;
    std::copy_n(part, job.rank, sum);
    for (uint32_t depth = 1; depth < job.depths; ++depth)
      for (uint32_t i = 0; i < job.rank; ++i) sum[i] += part[depth * cap + i];
  }
  return {room, cap};
}

// Columns [first, last) of what the change is added to.
void start(const Job& job, uint32_t first, uint32_t last) {
  const LowRank& op = job.op;
  for (uint32_t r = 0; r < job.rows.count; ++r) {
    const uint64_t at = uint64_t{job.rows.first + r} * op.width;
    const float* y = op.y + at;
    float* to = op.result + at;
    if (!job.gain)
      std::copy(y + first, y + last, to + first);
    else
      for (uint32_t n = first; n < last; ++n)
        to[n] = y[n] + (job.gain[n] * y[n] + job.gain[op.width + n]);
  }
}

// Columns [first, last) of the result.
void expand(const Job& job, uint32_t first, uint32_t last) {
  alignas(64) float room[kSmallRun * kMaxAdapterRank];
  const LowRank& op = job.op;
  start(job, first, last);
  if (job.rank == 0) return;
  const Middle middle = middle_of(job, room);
  float* result = op.result + uint64_t{job.rows.first} * op.width;
  const uint32_t whole = (last - first) / kPanel * kPanel;
  for (uint32_t i = 0; i < job.rank; i += kRanksAtOnce)
    job.frame.kernels.multiply_f16(
        {result + first, middle.at + i, job.b + uint64_t{i} * op.stride + first, op.width,
         middle.stride, op.stride, job.rows.count, std::min(kRanksAtOnce, job.rank - i), whole});
  for (uint32_t n = first + whole; n < last; ++n)
    for (uint32_t r = 0; r < job.rows.count; ++r)
      for (uint32_t i = 0; i < job.rank; ++i)
        result[uint64_t{r} * op.width + n] +=
            middle.at[r * middle.stride + i] * f32_of_f16(job.b[uint64_t{i} * op.stride + n]);
}

// Nanoseconds of one thread: the matrices of each run come from memory, and each row multiplies.
double cost_of(const LowRank& op, const Frame& frame, uint32_t size) {
  const auto runs = static_cast<double>(frame.blocks.size());
  return size * op.cap * (0.15 * runs + 0.05 * frame.rows(op.extent));
}

}  // namespace

uint64_t low_rank_workspace(uint32_t rows, uint32_t depth, uint32_t cap) {
  return uint64_t{rows} * depths_of(depth) * cap;
}

void low_rank(const LowRank& op, const Frame& frame) noexcept {
  plan_runs(op, frame);
  const auto runs = static_cast<uint32_t>(frame.blocks.size());
  const uint32_t parts = std::max(depths_of(op.depth), op.cap / kPanel);
  frame.pool.run(runs * parts, cost_of(op, frame, op.depth), [&](uint32_t task, uint32_t) noexcept {
    const Job job(op, frame, frame.blocks[task / parts]);
    const uint32_t part = task % parts;
    if (job.rank == 0) return;
    if (job.small() && part < job.depths) shrink_depth(job, part);
    if (!job.small() && part < job.panels()) shrink_panel(job, part);
  });
  // Few small runs share their columns among the threads.
  const uint32_t shares = (frame.pool.lanes() + runs - 1) / std::max(runs, 1u);
  const uint32_t share = ((op.width + shares - 1) / shares + kPanel - 1) / kPanel * kPanel;
  const uint32_t few = std::max(share, kFewestColumns);
  const uint32_t blocks = (op.width + kColumns - 1) / kColumns;
  frame.pool.run(runs * blocks, cost_of(op, frame, op.width),
                 [&](uint32_t task, uint32_t) noexcept {
                   const Job job(op, frame, frame.blocks[task / blocks]);
                   const uint32_t columns = job.small() ? few : kColumns;
                   const uint64_t first = uint64_t{task % blocks} * columns;
                   if (first < op.width)
                     expand(job, static_cast<uint32_t>(first),
                            static_cast<uint32_t>(std::min<uint64_t>(first + columns, op.width)));
                 });
}

}  // namespace ropewalk::cpu
