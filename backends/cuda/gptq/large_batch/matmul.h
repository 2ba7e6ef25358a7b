// matmul.h — a large-batch product: x and slices of the weights become f16, cuBLAS multiplies them,
// and the epilogue finishes the sums slice by slice. Or the weights stay packed (wgmma.h).
//
// A LargeBatchMatmul is called with a stream, like every launch of a program. It borrows the
// program's memory, cuBLAS and slices.
#pragma once

#include <span>
#include <vector>

#include "backends/cuda/device/cublas.h"
#include "backends/cuda/gptq/large_batch/slice_columns.h"
#include "backends/cuda/gptq/large_batch/slices.h"
#include "backends/cuda/gptq/product.h"
#include "core/abi/weight.h"

namespace ropewalk::cuda {

// Memory of the large-batch products of a program.
struct LargeBatchPointers {
  std::byte *cublas, *x, *scales, *sums, *heads, *slices;  // `slices` has two
};

// Bytes that one product needs, or the max over the products of a program.
struct LargeBatchNeeds {
  uint64_t x = 0, scales = 0, sums = 0, heads = 0, slice = 0;

  // Takes the max of each.
  void include(const LargeBatchNeeds& other);
  // With cuBLAS's workspace; 0 where nothing is needed.
  uint64_t total() const;
  // The parts, one after another in the total() bytes from `begin` on.
  LargeBatchPointers pointers(std::byte* begin) const;

 private:
  struct Offsets {
    uint64_t cublas, x, scales, sums, heads, slices, end;
  };
  Offsets offsets() const;
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

  // `rows` is the bucket; the weights are gptq, f16 or bf16.
  LargeBatchMatmul(const Product& product, abi::DType dtype, uint32_t rows,
                   const Resources& resources, const StepView& step);

  void operator()(cudaStream_t stream) const;

 private:
  // Computes the sums of neighbouring pieces, in one product.
  void multiply(std::span<const Piece> pieces, float* sums, uint64_t pitch,
                cudaStream_t stream) const;
  // The epilogue of a piece, or of the pieces of gate and up.
  void finish(const Piece& piece, const float* sums, const float* sums_of_up, uint64_t pitch,
              cudaStream_t stream) const;
  void run(const Group& group, cudaStream_t stream) const;
  void append(cudaStream_t stream) const;
  float* heads(uint32_t part) const;

  Product product_;
  std::vector<Group> groups_;
  abi::DType dtype_;
  uint32_t rows_;
  bool stays_packed_;  // multiplied by wgmma.cu
  Resources resources_;
  StepView step_;
};

}  // namespace ropewalk::cuda
