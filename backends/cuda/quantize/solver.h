// solver.h — the extension "quantize.v1" on CUDA: H by cuBLAS, the rest by kernels of matrices.h.
//
// Owns device memory of its own between begin() and end(), and within factor(): 8 bytes for each
// element of H and 4 for a sum of f32; 20 bytes while it is factored.
#pragma once

#include <memory>

#include "backends/cuda/device/memory.h"
#include "backends/cuda/program/shared_resources.h"
#include "core/abi/quantize.h"

namespace ropewalk::cuda {

class QuantizeSolver final : public abi::QuantizeSolver {
 public:
  QuantizeSolver(Context& context, Memory& memory, SharedResources& shared);
  ~QuantizeSolver();
  QuantizeSolver(const QuantizeSolver&) = delete;
  QuantizeSolver& operator=(const QuantizeSolver&) = delete;

  abi::Status begin(uint32_t inputs) noexcept override;
  abi::Status gram(std::span<const std::byte> x) noexcept override;
  abi::Status read_gram(std::span<double> lower) noexcept override;
  abi::Status energies(std::span<const float> x, std::span<double> sums) noexcept override;
  void end() noexcept override;
  abi::Status factor(const abi::SymmetricMatrix& matrix, std::span<float> upper,
                     bool* positive) noexcept override;

 private:
  class Block;

  // guard() that makes the device current first.
  template <class Body>
  abi::Status on_device(Body&& body) noexcept;
  void add(std::span<const std::byte> x, const Block& workspace);

  Context& context_;
  Memory& memory_;
  SharedResources& shared_;
  uint32_t inputs_ = 0;
  std::unique_ptr<Block> h_, partial_;  // f64, f32
};

}  // namespace ropewalk::cuda
