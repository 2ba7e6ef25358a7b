// solver.h — the extension "quantize.v1" on CUDA: H by cuBLAS, the rest by kernels of matrices.h,
// columns.h and rows.h.
//
// Owns device memory of its own between begin() and end(): for each element of H 12 bytes, and 16
// more while it is factored; for each element of a matrix W 9.
#pragma once

#include <memory>
#include <vector>

#include "backends/cuda/device/memory.h"
#include "backends/cuda/program/shared_resources.h"
#include "backends/cuda/quantize/columns.h"
#include "core/abi/quantize.h"

namespace ropewalk::cuda {

class QuantizeSolver final : public abi::QuantizeSolver {
 public:
  QuantizeSolver(Context& context, Memory& memory, SharedResources& shared);
  ~QuantizeSolver();
  QuantizeSolver(const QuantizeSolver&) = delete;
  QuantizeSolver& operator=(const QuantizeSolver&) = delete;

  abi::Status begin(uint32_t inputs) noexcept override;
  abi::Status gram(const abi::Slice& x, abi::DType dtype, bool* fits) noexcept override;
  abi::Status diagonal(std::span<double> values) noexcept override;
  abi::Status read_gram(std::span<double> lower) noexcept override;
  abi::Status factor(std::span<const uint32_t> order, std::span<const double> diagonal,
                     bool* positive) noexcept override;
  abi::Status read_upper(std::span<float> upper) noexcept override;
  abi::Status take(std::span<const float> weight, uint32_t rows, double* energy) noexcept override;
  abi::Status nearest(const abi::RangeRules& rules, abi::RoundedRows* result) noexcept override;
  abi::Status solve(const abi::RangeRules& rules, const abi::ColumnGroups& groups,
                    abi::RoundedRows* result) noexcept override;
  abi::Status energies(std::span<const float> x, std::span<double> sums) noexcept override;
  void end() noexcept override;
  abi::Status copy(const abi::Slice& to, const abi::Slice& from, abi::DType dtype,
                   uint32_t* first_bad) noexcept override;

 private:
  class Block;
  struct Sums;    // what gram() needs beside H
  struct Matrix;  // W and what it becomes

  // guard() that makes the device current first.
  template <class Body>
  abi::Status on_device(Body&& body) noexcept;
  void add(const std::byte* x, abi::DType dtype, uint32_t tokens);
  // Of x (rows, inputs): by row.
  std::vector<double> find(const float* x, uint32_t rows);
  Rounding rounding(const abi::RangeRules& rules);
  void finish(const Rounding& op, const uint32_t* group_of, abi::RoundedRows* result);

  Context& context_;
  Memory& memory_;
  SharedResources& shared_;
  uint32_t inputs_ = 0;
  std::unique_ptr<Block> h_;          // f64
  std::unique_ptr<Block> upper_;      // f32: partial sums of H, then U
  std::unique_ptr<Block> order_;      // of columns
  std::unique_ptr<Block> first_bad_;  // of copy(); stays
  std::unique_ptr<Sums> sums_;
  std::unique_ptr<Matrix> matrix_;
};

}  // namespace ropewalk::cuda
