// matmul.h — a product of many rows: x and slices of the weights as f16, multiplied by
// cuBLAS, the sums finished slice by slice.
//
// A value that can be called with a stream, like every launch of a program; borrows the program's
// memory, cuBLAS and slices.
#pragma once

#include "backends/cuda/device/cublas.h"
#include "backends/cuda/gptq/large_batch/slice_columns.h"
#include "backends/cuda/gptq/large_batch/slices.h"
#include "backends/cuda/gptq/product.h"
#include "core/abi/weight.h"

namespace ropewalk::cuda {

// Where a program's long products have what they need.
struct LongPlaces {
  std::byte *cublas, *x, *scales, *sums, *heads, *slices;  // `slices` has two
};

// Bytes that a product needs at once, or a program for whichever needs most of each.
struct LongNeeds {
  uint64_t x = 0, scales = 0, sums = 0, heads = 0, slice = 0;

  void cover(const LongNeeds& other);
  // cuBLAS's own included; 0 where nothing is needed.
  uint64_t total() const;
  // One after another in `total()` bytes.
  LongPlaces places(std::byte* begin) const;

 private:
  struct Offsets {
    uint64_t cublas, x, scales, sums, heads, slices, end;
  };
  Offsets offsets() const;
};

class LongProduct {
 public:
  struct Host {
    LongPlaces places;
    Cublas* cublas;
    Slices* slices;
    Target target;
  };

  static LongNeeds needs(const Product& product, abi::DType dtype, uint32_t rows,
                         const Target& target);

  // `rows` of the bucket; the weights are gptq, f16 or bf16.
  LongProduct(const Product& product, abi::DType dtype, uint32_t rows, const Host& host,
              const StepView& step);

  void operator()(cudaStream_t stream) const;

 private:
  struct Columns {
    uint32_t first, count;
  };

  void multiply(const Part& part, const Columns& columns, float* sums, cudaStream_t stream) const;
  void finish(const Part& part, const Columns& columns, cudaStream_t stream) const;
  void run(const Part& part, cudaStream_t stream) const;
  void append(cudaStream_t stream) const;
  float* heads(uint32_t part) const;
  float* sums(uint32_t part, uint32_t columns) const;

  Product product_;
  abi::DType dtype_;
  uint32_t rows_;
  Host host_;
  StepView step_;
};

}  // namespace ropewalk::cuda
