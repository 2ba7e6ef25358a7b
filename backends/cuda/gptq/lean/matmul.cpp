#include "backends/cuda/gptq/lean/matmul.h"

#include "backends/cuda/device/target.h"

namespace ropewalk::cuda::gptq {

Copies copies_of(const Target& target) {
  return target.capability >= 90   ? Copies::bulk
         : target.capability >= 80 ? Copies::async_16
                                   : Copies::none;
}

Start start_of(const Target& target) {
  const bool early = target.choices.early_start == EarlyStart::where_possible;
  return early && target.capability >= 90 ? Start::early : Start::after;
}

// One kernel reads all parts, so they must have the same kind of zeros and the same Layout::zero.
bool is_lean(const Product& product) {
  const Layout& first = product.part[0].layout;
  for (uint32_t i = 0; i < product.parts; ++i) {
    const Layout& l = product.part[i].layout;
    if (l.zeros == Zeros::beside_scales || l.zeros != first.zeros || l.zero != first.zero)
      return false;
  }
  return true;
}

namespace {

// Without shares.
LeanMatmul lean_of(const Product& product, uint32_t rows, const Target& target) {
  LeanMatmul op{product};
  op.rows = rows;
  op.copies = copies_of(target);
  op.start = start_of(target);
  op.chunks_ahead = op.start == Start::early ? target.tuning().chunks_ahead : 0;
  op.lets_next_at_begin = target.tuning().lets_next_late == 0;
  return op;
}

}  // namespace

LeanMatmul lean_matmul_of(const Product& product, uint32_t rows, const Target& target) {
  LeanMatmul op = lean_of(product, rows, target);
  const uint32_t pairs = max_pairs(op.copies, head_floats(product), target.shared_bytes);
  op.shares =
      share_out(column_tiles(product), blocks(product.part[0].layout), pairs / lean_rows(rows),
                target.multiprocessors, {target.tuning().segment_blocks, 0, 3});
  return op;
}

std::optional<LeanMatmul> lean_wide_of(const Product& product, uint32_t rows,
                                       const Target& target) {
  constexpr uint32_t kMinSlice = 16;  // blocks of K for which writing the sums is worth it
  LeanMatmul op = lean_of(product, rows, target);
  const uint32_t all = blocks(product.part[0].layout), wide = wide_rows(rows);
  const uint32_t max_blocks =
      max_wide_blocks(op.copies, wide, head_floats(product), target.shared_bytes);
  if (max_blocks < std::min(kMinSlice, all)) return std::nullopt;
  op.shares = share_out(column_tiles(product), all, max_blocks, target.multiprocessors,
                        {target.tuning().segment_blocks * wide / kLeanMaxRows, wide, 8});
  if (kLeanWarps * op.shares.segments > kMaxFinished) return std::nullopt;
  return op;
}

bool can_fold(const LeanMatmul& op, const Target& target) {
  const Layout& l = op.part[0].layout;
  if (op.rows != 1 || l.rows % 4 != 0 || l.rows > kMaxFoldedDepth) return false;
  const LeanSharedLayout room = lean_shared_layout(
      op.copies, kMaxBlockBytes, slice_blocks(op.shares), head_floats(op), l.rows);
  return room.end <= std::min(target.shared_bytes, kMaxSharedBytes);
}

}  // namespace ropewalk::cuda::gptq
