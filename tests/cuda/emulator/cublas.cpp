// cublas.cpp — the product of cuBLAS as plain loops.
#include "backends/cuda/device/cublas.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/abi/guard.h"
#include "tests/cuda/emulator/words.h"

namespace ropewalk::cuda {

// EMULATOR_CUBLAS=missing: as on a machine without it.
std::string Cublas::missing() {
  const char* library = std::getenv("EMULATOR_CUBLAS");
  return library && std::string(library) == "missing" ? "cuBLAS is not found: no such library" : "";
}

Cublas::Cublas(Context& context) : context_(context) {
  if (!missing().empty()) throw abi::Failure(abi::StatusCode::unsupported, missing());
}
Cublas::~Cublas() = default;

// The workspace is overwritten, as cuBLAS may do.
void Cublas::multiply(const Multiplication& p, std::byte* workspace, cudaStream_t stream) {
  context_.check(cudaMemsetAsync(workspace, 0xff, kWorkspaceBytes, stream), "workspace");
  emulator::launch({dim3(1), 32, 0, false}, stream, [p] {
    if (emulator::thread_index.x) return;
    const auto value = [&](const void* at, uint64_t i) {
      return p.dtype == abi::DType::bf16
                 ? __bfloat162float(static_cast<const __nv_bfloat16*>(at)[i])
                 : emulator::half_value(static_cast<const uint16_t*>(at)[i]);
    };
    // w transposed, so that the innermost loop runs over sums and is vectorised
    std::vector<float> w(uint64_t{p.depth} * p.cols);
    for (uint64_t n = 0; n < p.cols; ++n)
      for (uint64_t k = 0; k < p.depth; ++k) w[k * p.cols + n] = value(p.w, n * p.w_pitch + k);
    std::vector<float> sums(p.cols);
    for (uint64_t r = 0; r < p.rows; ++r) {
      std::fill(sums.begin(), sums.end(), 0.0f);
      for (uint64_t k = 0; k < p.depth; ++k) {
        const float x = value(p.x, r * p.x_pitch + k), *row = w.data() + k * p.cols;
        for (uint64_t n = 0; n < p.cols; ++n) sums[n] += x * row[n];
      }
      for (uint64_t n = 0; n < p.cols; ++n) {
        const uint64_t at = r * p.y_pitch + n;
        if (p.y_dtype == abi::DType::f16)
          static_cast<__half*>(p.y)[at] = __float2half(sums[n]);
        else
          static_cast<float*>(p.y)[at] = sums[n];
      }
    }
  });
}

}  // namespace ropewalk::cuda
