// divisions — prints how the backend divides a decode step of Llama-2-13B on an H200: what
// predict.py needs of the host's functions. A line each:
//
//   product NAME ROWS FOLDED TILES BLOCKS SLICES WARPS SEGMENTS SHARED_BYTES
//   attention ROWS CONTEXT RUNS
#include <cstdio>

#include "backends/cuda/gptq/lean/matmul.h"
#include "backends/cuda/ops/attention_splits.h"

namespace {

using namespace ropewalk::cuda;

constexpr uint32_t kHidden = 5120, kInner = 13824, kHeads = 40, kHeadDim = 128;

struct Named {
  const char* name;
  uint32_t depth, cols, parts;
  Epilogue epilogue;
};
constexpr Named kProducts[] = {{"qkv", kHidden, kHidden, 3, Epilogue::rope_append},
                               {"o", kHidden, kHidden, 1, Epilogue::add},
                               {"gate_up", kHidden, kInner, 2, Epilogue::gate_mul},
                               {"down", kInner, kHidden, 1, Epilogue::add}};

void print_product(const Named& named, uint32_t rows, const Target& h200) {
  Product product{};
  product.parts = named.parts;
  product.epilogue = named.epilogue;
  for (uint32_t i = 0; i < named.parts; ++i)
    product.part[i].layout = {named.depth, named.cols, 4, 32, 1};
  if (named.epilogue == Epilogue::rope_append) product.append.keys.head_dim = kHeadDim;
  const bool is_wide = rows > gptq::kLeanMaxRows;
  const gptq::LeanMatmul op = is_wide ? gptq::lean_wide_of(product, rows, h200).value()
                                      : gptq::lean_matmul_of(product, rows, h200);
  const bool folds = !is_wide && gptq::can_fold(op, h200);
  const uint32_t blocks = gptq::slice_blocks(op.shares), heads = gptq::head_floats(product);
  const uint32_t shared = is_wide ? gptq::wide_shared_layout(op.copies, gptq::kMaxBlockBytes,
                                                             blocks * gptq::wide_rows(rows), heads)
                                        .end
                                  : gptq::lean_shared_layout(op.copies, gptq::kMaxBlockBytes,
                                                             blocks * gptq::lean_rows(rows), heads,
                                                             folds ? named.depth : 0)
                                        .end;
  const gptq::Shares& s = op.shares;
  std::printf("product %s %u %d %u %u %u %u %u %u\n", named.name, rows, folds, s.tiles, s.blocks,
              s.slices, s.warps, s.segments, shared);
}

}  // namespace

int main() {
  const Target h200{132, uint64_t{50} << 20, 90, 227 << 10, LargeBatchLibrary::cublas};
  for (const uint32_t rows : {1u, 8u, 32u}) {
    for (const Named& product : kProducts) print_product(product, rows, h200);
    for (const uint32_t context : {512u, 4096u, 8192u})
      std::printf(
          "attention %u %u %u\n", rows, context,
          attention_splits(uint64_t{rows} * kHeads, context + 128, h200.tuning().ring_runs, h200));
  }
}
