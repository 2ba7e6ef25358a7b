// matmul.h — a large-batch product: x and slices of the weights become f16, cuBLAS multiplies them,
// and the epilogue finishes the sums slice by slice. Or the weights stay packed (wgmma.h), and the
// epilogue may be part of the kernel. epilogue.h says what kernels pass on to each other.
//
// A LargeBatchMatmul is called with a stream, like every launch of a program. It borrows the
// program's memory, cuBLAS and slices.
#pragma once

#include <span>
#include <vector>

#include "backends/cuda/device/cublas.h"
#include "backends/cuda/gptq/large_batch/epilogue.h"
#include "backends/cuda/gptq/large_batch/slice_columns.h"
#include "backends/cuda/gptq/large_batch/slices.h"
#include "backends/cuda/gptq/large_batch/wgmma.h"
#include "backends/cuda/gptq/product.h"
#include "core/abi/weight.h"

namespace ropewalk::cuda {

// Memory of the large-batch products of a program.
struct LargeBatchPointers {
  std::byte *cublas, *x, *scales, *sums, *heads, *gated, *rotations, *slices;  // two slices
};

// Bytes that one product needs, or the max over the products of a program.
struct LargeBatchNeeds {
  uint64_t x = 0, scales = 0, sums = 0, heads = 0, gated = 0, rotations = 0, slice = 0;

  // Takes the max of each.
  void include(const LargeBatchNeeds& other);
  // With cuBLAS's workspace; 0 where nothing is needed.
  uint64_t total() const;
  // The parts, one after another in the total() bytes from `begin` on.
  LargeBatchPointers pointers(std::byte* begin) const;

 private:
  struct Offsets {
    uint64_t cublas, x, scales, sums, heads, gated, rotations, slices, end;
  };
  Offsets offsets() const;
};

// Where a product finds x, and where it leaves y.
struct LargeBatchLinks {
  gptq::FoldedX folded = {};  // with `from`: what it computes x from
  bool reads_gated = false;   // x is GatedX
  bool writes_gated = false;  // so is y
  bool half_queries = false;  // rotated queries are f16 (Attention::halves)
};

class LargeBatchMatmul {
 public:
  struct Resources {
    LargeBatchPointers memory;
    Cublas* cublas;
    Slices* slices;
    Target target;
  };

  static LargeBatchNeeds needs(const Product& product, abi::DType dtype, uint32_t rows,
                               const Target& target);

  // Whether a product of packed weights can compute x from a FoldedX.
  static bool can_fold(const Product& product, const Target& target);
  // Whether `next` can read what `product` writes as GatedX.
  static bool can_pass_gated(const Product& product, const Product& next, const Target& target);
  // Whether it can leave rotated queries as f16.
  static bool can_pass_half_queries(const Product& product, const Target& target);

  // `rows` is the bucket; the weights are gptq, f16 or bf16.
  LargeBatchMatmul(const Product& product, abi::DType dtype, uint32_t rows,
                   const LargeBatchLinks& links, const Resources& resources, const StepView& step);

  void operator()(cudaStream_t stream) const;

 private:
  void prepare_x(cudaStream_t stream) const;
  // Computes the sums of neighbouring pieces, in one product: (rows, columns) of sum_type_, a row
  // every `pitch`.
  void multiply(std::span<const Piece> pieces, std::byte* sums, uint64_t pitch,
                cudaStream_t stream) const;
  // The product with its epilogue, in one launch.
  void multiply_and_finish(cudaStream_t stream) const;
  // The epilogue of a piece, or of the pieces of gate and up.
  void finish(const Piece& piece, const std::byte* sums, const std::byte* sums_of_up,
              uint64_t pitch, cudaStream_t stream) const;
  // Queries, keys and values as f16 sums: how wide a row is, and the columns in front of a piece.
  struct Heads {
    uint32_t pitch, columns;
  };
  Heads heads_before(const Piece& piece) const;
  void run(const Group& group, cudaStream_t stream) const;
  void append(cudaStream_t stream) const;
  void append_halves(cudaStream_t stream) const;

  float* heads(uint32_t part) const;
  gptq::XScales x_scales() const;
  const std::byte* x() const {
    return links_.reads_gated ? resources_.memory.gated : resources_.memory.x;
  }
  bool is_rotated() const { return product_.epilogue == Epilogue::rope_append; }

  Product product_;
  std::vector<Group> groups_;
  abi::DType dtype_;
  uint32_t rows_;
  LargeBatchLinks links_;
  bool stays_packed_;    // multiplied by wgmma.cu
  gptq::WgmmaEnd end_;   // there; otherwise `sums`
  abi::DType sum_type_;  // f16: by the epilogues of f16 sums
  Resources resources_;
  StepView step_;
};

}  // namespace ropewalk::cuda
