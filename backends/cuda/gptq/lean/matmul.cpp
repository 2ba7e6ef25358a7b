#include "backends/cuda/gptq/lean/matmul.h"

namespace ropewalk::cuda::gptq {
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

LeanMatmul lean_matmul_of(const Product& product, uint32_t rows, const Target& target) {
  uint32_t tiles = 0;
  for (uint32_t i = 0; i < product.parts; ++i) tiles += column_tiles(product.part[i].layout);
  LeanMatmul op{product};
  op.rows = rows;
  op.copies = copies_of(target);
  op.start = start_of(target);
  const uint32_t pairs = max_pairs(op.copies, head_floats(product), target.shared_bytes);
  op.shares = share_out(tiles, blocks(product.part[0].layout), pairs / lean_rows(rows),
                        target.multiprocessors, target.tuning().segment_blocks);
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
