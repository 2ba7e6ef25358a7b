#include "backends/cuda/gptq/lean/matmul.h"

namespace ropewalk::cuda::gptq {
namespace {

Copies copies_of(const Target& target) {
  return target.capability >= 90   ? Copies::bulk
         : target.capability >= 80 ? Copies::async_16
                                   : Copies::none;
}

}  // namespace

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
  const bool early = target.choices.early_start == EarlyStart::where_possible;
  op.start = early && target.capability >= 90 ? Start::early : Start::after;
  const uint32_t pairs = max_pairs(op.copies, head_floats(product), target.shared_bytes);
  op.shares = share_out(tiles, blocks(product.part[0].layout), pairs / lean_rows(rows),
                        target.multiprocessors, target.tuning().segment_blocks);
  return op;
}

}  // namespace ropewalk::cuda::gptq
