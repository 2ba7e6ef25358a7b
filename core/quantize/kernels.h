// kernels.h — the few loops in which the quantiser spends its time, built for several instruction
// sets.
//
// Leaf functions: pointers and sizes in, numbers out, no allocation and no threads. Every sum runs
// over its terms in order and each product is rounded before it is added, so that the bits depend
// neither on the instruction set nor on how a matrix is cut.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ropewalk::quantize {

// y (rows, columns) += a (rows, depth) . b (depth, columns). Strides are in elements.
template <class T>
struct Product {
  T* y;
  const T* a;
  const T* b;
  size_t y_stride;
  size_t a_row, a_depth;  // from a row of `a` to the next, from a column to the next
  size_t b_stride;
  uint32_t rows, depth, columns;
};

// What it costs to round weights with each of so many ranges: sum of ((w - d) / importance)^2, of
// which the difference is taken in f32 and the rest in f64.
inline constexpr uint32_t kRanges = 64;
struct RangeCosts {
  const float* weights;     // (count)
  const float* importance;  // (count)
  const float* scales;      // (kRanges)
  const float* zeros;       // (kRanges)
  float max_code;
  uint32_t count;
  double* costs;  // (kRanges)
};

struct Kernels {
  const char* name;
  void (*add_f32)(const Product<float>& product);
  void (*add_f64)(const Product<double>& product);
  void (*cost)(const RangeCosts& costs);
};

// The kernels for an instruction set: "baseline", on x86-64 also "avx2" and "avx512", or "auto" for
// the widest that this machine has. nullptr where `name` is unknown or this machine lacks it.
const Kernels* kernels_for(const char* name);

// kernels_for("auto")
const Kernels& kernels();

}  // namespace ropewalk::quantize
