// cholesky.h — factors a symmetric matrix and inverts the factor, in f64.
//
// Tile by tile with a fixed order of additions: the result does not depend on the number of
// threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ropewalk::quantize {

// A (n, n), lower half -> L with L L^T = A. False where A is not positive definite, or not finite;
// then the matrix is spoilt.
bool cholesky(std::span<double> matrix, uint32_t n, uint32_t threads);

// L^-1 with both axes reversed, so that it is upper: U[i][j] = (L^-1)[n-1-i][n-1-j]. Rounded to
// f32; zero below the diagonal. REQUIRES: no zero on L's diagonal.
std::vector<float> reversed_inverse(std::span<const double> lower, uint32_t n, uint32_t threads);

}  // namespace ropewalk::quantize
