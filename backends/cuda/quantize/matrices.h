// matrices.h — kernels on square matrices in f64, for the extension "quantize.v1". All row-major.
// Launch errors are left for cudaGetLastError().
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace ropewalk::cuda {

inline constexpr uint32_t kMatrixTile = 64;

inline uint32_t matrix_tiles(uint32_t n) { return (n + kMatrixTile - 1) / kMatrixTile; }

// h (n, n) += partial (n, n) in the lower half.
void add_lower(const float* partial, double* h, uint32_t n, cudaStream_t stream);

void read_diagonal(const double* h, double* diagonal, uint32_t n, cudaStream_t stream);

// to (n, n), lower half = h with `diagonal` in its diagonal's place and rows and columns `order`
// from the last to the first.
struct Reordering {
  const double* h;
  const double* diagonal;  // (n), as stored
  const uint32_t* order;   // (n)
  double* to;
  uint32_t n;
};
void reorder(const Reordering& op, cudaStream_t stream);

// sums (rows, tiles of n): the part of x h x^T that h's rows of a tile have. `h` (n, n): its lower
// half.
struct Energies {
  const float* x;  // (rows, n)
  const double* h;
  double* sums;
  uint32_t rows, n;
};
void find_energies(const Energies& op, cudaStream_t stream);

// matrix (n, n), lower half -> L with L L^T = matrix. Sets *failed to 1 where it is not positive
// definite or not finite; REQUIRES: *failed is 0.
void factor_lower(double* matrix, uint32_t n, uint32_t* failed, cudaStream_t stream);

// inverse (n, n): row c is column c of L^-1, from its diagonal on; the rest stays as it is.
void invert_lower(const double* lower, double* inverse, uint32_t n, cudaStream_t stream);

// upper[i][j] = inverse[n-1-j][n-1-i] on and above the diagonal, else 0.
void reverse_to_upper(const double* inverse, float* upper, uint32_t n, cudaStream_t stream);

}  // namespace ropewalk::cuda
