// low_rank.h — arithmetic on the two factors of an adapter's change, s L R: a few rows of it, or
// its size as a whole.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/adapter/adapter.h"

namespace ropewalk {

// Rows [first_row, first_row + rows) of L R. For a linear layer L is B and R is A; for a table of
// embeddings L is A^T and R is B^T.
struct Factors {
  uint64_t rows = 0, cols = 0;
  uint32_t rank = 0;
  std::vector<float> left;   // (rows, rank)
  std::vector<float> right;  // (rank, cols)
};

Factors load_factors(const Adapter& adapter, const LowRank& pair, uint64_t first_row,
                     uint64_t rows);

// values (rows, cols) += scale * (L R), the product summed in f32 in the order of the rank, then
// one multiplication and one addition.
void add_product(const Factors& factors, float scale, std::span<float> values);

// Frobenius norm of L R, from the two Gram matrices: |L R|^2 = trace(L^T L . R R^T). In f64.
double product_norm(const Factors& factors);

}  // namespace ropewalk
