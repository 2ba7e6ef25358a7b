// cublas.cpp — the product that is borrowed from cuBLAS, as loops.
#include "backends/cuda/cublas.h"

#include <cuda_fp16.h>

#include "core/abi/guard.h"
#include "tests/cuda/emulator/words.h"

namespace ropewalk::cuda {

std::string Cublas::missing() { return ""; }

Cublas::Cublas(Context& context, std::byte* workspace) : context_(context), workspace_(workspace) {}
Cublas::~Cublas() = default;

// The workspace is overwritten, as cuBLAS may do.
void Cublas::multiply(const Product& p, cudaStream_t stream) {
  context_.check(cudaMemsetAsync(workspace_, 0xff, kWorkspaceBytes, stream), "workspace");
  emulator::launch(dim3(1), 32, stream, [p] {
    if (emulator::thread_index.x) return;
    const auto* x = static_cast<const __half*>(p.x);
    const auto* w = static_cast<const __half*>(p.w);
    for (uint64_t r = 0; r < p.rows; ++r)
      for (uint64_t n = 0; n < p.cols; ++n) {
        float sum = 0;
        for (uint64_t k = 0; k < p.depth; ++k)
          sum += __half2float(x[r * p.depth + k]) * __half2float(w[n * p.depth + k]);
        p.y[r * p.y_pitch + n] = sum;
      }
  });
}

}  // namespace ropewalk::cuda
