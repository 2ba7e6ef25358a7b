// cublas.h — matrix products by cuBLAS, the one library kernel of this backend.
//
// The library is found when it is first needed, at run time, since a machine with only a driver has
// none; it is never unloaded. There is one object per device: each takes memory that no plan
// counts, and destroying one waits for the whole device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "backends/cuda/device/context.h"

namespace ropewalk::cuda {

// y (rows, cols) = x (rows, depth) . w (cols, depth) transposed; all row-major.
struct Multiplication {
  const void* x;
  const void* w;
  void* y;
  abi::DType dtype;    // of x and w: f16 or bf16
  abi::DType y_dtype;  // f32 or f16
  uint32_t rows, depth, cols;
  uint64_t x_pitch, w_pitch, y_pitch;  // elements from a row to the next
};

class Cublas {
 public:
  // The size that cuBLAS advises for Hopper. It would allocate its own while recording.
  static constexpr uint64_t kWorkspaceBytes = uint64_t{32} << 20;

  // Why cuBLAS is missing; empty where it is found.
  static std::string missing();

  // Throws Failure (unsupported), which says what was looked for, where there is no cuBLAS.
  explicit Cublas(Context& context);
  ~Cublas();
  Cublas(const Cublas&) = delete;
  Cublas& operator=(const Cublas&) = delete;

  // Sums in f32. Throws Failure. REQUIRES: the workspace has kWorkspaceBytes, for this stream
  // alone.
  void multiply(const Multiplication& product, std::byte* workspace, cudaStream_t stream);

 private:
  struct Api;

  static const Api& api();

  Context& context_;
  void* handle_ = nullptr;
};

}  // namespace ropewalk::cuda
