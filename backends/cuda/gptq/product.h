// product.h — products of x with one to three weights and their epilogue: plain structs that the
// kernels of crossovers.h share. Pointers point into device memory. Stateless.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cuda/gptq/layout.h"
#include "backends/cuda/kernel/step.h"
#include "backends/cuda/ops/ops.h"

namespace ropewalk::cuda {

inline constexpr uint32_t kMaxParts = 3;

// One weight: p = x . W + bias.
struct Part {
  const std::byte* weight;  // packed as gptq/layout.h says, or dense (cols, rows)
  const float* bias;        // (cols) or null
  float* y;                 // (R, cols); null where only the epilogue writes a result
  gptq::Layout layout;      // of a dense weight only rows and cols
};

// What happens to the parts p0, p1, p2.
enum class Epilogue : uint32_t {
  none,         // each is written to its own y
  add,          // y = other + p0
  gate_mul,     // y = a(other) * p0, or a(p0) * p1 where there are two; a: Activation
  rope_append,  // queries and keys are rotated, keys and values appended to the cache
};

struct Product {
  const float* x;        // (R, rows of the weights)
  Part part[kMaxParts];  // with the same rows; if packed, the same bits and group size
  uint32_t parts;
  Epilogue epilogue;
  const float* other;  // (R, cols) or null
  float* y;            // (R, cols) for add and gate_mul
  Activation activation;
  RopeAppend append;  // for rope_append; without q, k and v
  Extent extent;
};

// Of all parts.
inline uint32_t column_tiles(const Product& product) {
  uint32_t tiles = 0;
  for (uint32_t i = 0; i < product.parts; ++i) tiles += gptq::column_tiles(product.part[i].layout);
  return tiles;
}

}  // namespace ropewalk::cuda
