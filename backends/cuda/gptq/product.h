// product.h — products of x with one to three weights, and what follows in the same step: plain
// structs that the ways of crossovers.h share. Pointers go into device memory. Stateless.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cuda/gptq/layout.h"
#include "backends/cuda/kernel/step.h"
#include "backends/cuda/ops/ops.h"

namespace ropewalk::cuda {

inline constexpr uint32_t kMostParts = 3;

// One weight: p = x . W + bias.
struct Part {
  const std::byte* weight;  // packed as gptq/layout.h says, or dense (cols, rows)
  const float* bias;        // (cols) or null
  float* y;                 // (R, cols); null where the epilogue takes what would be there
  gptq::Layout layout;      // of a dense weight rows and cols alone count
};

// What becomes of the parts p0, p1, p2.
enum class Epilogue : uint32_t {
  none,         // each is written to its own y
  add,          // y = other + p0
  silu_mul,     // y = silu(other) * p0, or silu(p0) * p1 where there are two
  rope_append,  // queries, keys and values: turned, and appended to the cache
};

struct Product {
  const float* x;         // (R, rows of the weights)
  Part part[kMostParts];  // of the same rows, and packed ones of the same bits and group size
  uint32_t parts;
  Epilogue epilogue;
  const float* other;  // (R, cols) or null
  float* y;            // (R, cols) of add and silu_mul
  RopeAppend append;   // of rope_append; without q, k and v
  Extent extent;
};

}  // namespace ropewalk::cuda
