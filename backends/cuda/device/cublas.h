// cublas.h — the one product that is borrowed: cuBLAS, found when it is first needed.
//
// Loaded at run time, since a machine with only a driver has none; the library is never unloaded.
// One object per device, since each takes memory that no plan knows, and ending one waits for the
// whole device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "backends/cuda/device/context.h"

namespace ropewalk::cuda {

// y (rows, cols) f32 = x (rows, depth) . w (cols, depth) transposed; all row-major.
struct Multiplication {
  const void* x;
  const void* w;
  float* y;
  abi::DType dtype;  // of x and w: f16 or bf16
  uint32_t rows, depth, cols;
  uint64_t x_pitch, w_pitch, y_pitch;  // elements from a row to the next
};

class Cublas {
 public:
  // A workspace that cuBLAS advises for Hopper; its own would be allocated while recording.
  static constexpr uint64_t kWorkspaceBytes = uint64_t{32} << 20;

  // Why there is none, in words; empty: there is.
  static std::string missing();

  // Throws Failure (unsupported) that says what was looked for where there is no cuBLAS.
  explicit Cublas(Context& context);
  ~Cublas();
  Cublas(const Cublas&) = delete;
  Cublas& operator=(const Cublas&) = delete;

  // f32 sums. Throws Failure. REQUIRES: the workspace has kWorkspaceBytes and is this stream's
  // alone.
  void multiply(const Multiplication& product, std::byte* workspace, cudaStream_t stream);

 private:
  struct Api;

  static const Api& api();

  Context& context_;
  void* handle_ = nullptr;
};

}  // namespace ropewalk::cuda
