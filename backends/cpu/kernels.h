// kernels.h — the few loops in which the CPU spends its time, built for several instruction sets.
//
// Leaf functions: pointers and sizes in, numbers out, no allocation and no threads. Each sum runs
// over its terms in order, so that a row's result does not depend on the other rows of the step.
// Speed comes from 32 columns side by side.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cpu/numeric.h"

namespace ropewalk::cpu {

// Columns of a panel, and rows of a block of packed codes.
inline constexpr uint32_t kPanel = 32;
inline constexpr uint32_t kBlock = 32;

// y (rows, columns) += x (rows, depth) . w (depth, columns). Strides are in elements; columns is a
// multiple of kPanel. `w` is of the type that the kernel's name says.
struct Product {
  float* y;
  const float* x;
  const void* w;
  size_t y_stride, x_stride, w_stride;
  uint32_t rows, depth, columns;
};

// A product of up to so many rows reads each weight once. For more rows it is faster to widen the
// weights to f32 first.
inline constexpr uint32_t kProductRows = 6;

enum class ScaleType : uint32_t { f16, f32 };

// Codes lie in blocks of 32 rows. A block is `bits` rows of 32 words, and words n are column n's:
// of 3 bits a stream, code k from bit 3k on; of 2, 4 and 8 bits so that a shift and a mask leave
// four neighbours in the four bytes of a word. The first word:
//
//   bit 31          0          bit 31                          0
//   |7 3|6 2|5 1|4 0|  4 bits  |F B 7 3|E A 6 2|D 9 5 1|C 8 4 0|  2 bits
//
// Where code k begins in its word, which is word k * bits / 32.
RW_INLINE constexpr uint32_t code_shift(uint32_t bits, uint32_t k) {
  if (bits == 3) return 3 * k % 32;
  const uint32_t at = k % (32 / bits);
  return at % 4 * 8 + at / 4 * bits;
}

// A run of rows of one panel that share their group's scales and zeros.
struct CodeRun {
  const uint32_t* codes;  // (ceil(rows / 32), bits, 32)
  const void* scale;      // (32) f16 or f32
  const void* zero;       // (32) u8, for 8 bits u16
  ScaleType scale_type;
  uint32_t rows;
};

// Groups of one panel, one after the other.
struct CodeRuns {
  CodeRun first;
  uint32_t count;
  size_t stride;  // bytes from one to the next, of codes, scales and zeros alike

  RW_INLINE CodeRun operator[](uint32_t i) const {
    const size_t by = i * stride;
    return {reinterpret_cast<const uint32_t*>(reinterpret_cast<const char*>(first.codes) + by),
            static_cast<const char*>(first.scale) + by, static_cast<const char*>(first.zero) + by,
            first.scale_type, first.rows};
  }
};

// sums (rows, 32) += x (rows, runs.count * runs.first.rows) . the unpacked runs
using CodeKernel = void (*)(const CodeRuns& runs, const float* x, size_t x_stride, float* sums);

// By the rows of x; null for 0, and for more than the registers hold.
inline constexpr uint32_t kMaxCodeRows = 8;
struct CodeKernels {
  CodeKernel of_rows[kMaxCodeRows + 1];
};

// A block of 32 elements of a row of x as integers of 23 bits with one scale:
//
//   x[k] = scale * (plane[0][k] + 2^8 * plane[1][k] + 2^16 * plane[2][k])
struct IntegerBlock {
  int8_t plane[3][kBlock];
  float scale;         // a power of two; NaN where an element is not finite
  uint32_t minus_sum;  // of the integers, modulo 2^32
};

// The product of codes in integers: as exact as in f32, and fewer instructions. See integers.cpp.
struct IntegerKernels {
  // The blocks of a row, each `stride` after the one before. Every group begins a block.
  void (*split)(const float* x, uint32_t depth, uint32_t group_size, IntegerBlock* to,
                size_t stride);
  // sums (rows, 32) += x (blocks, rows) . the unpacked runs; indexed by bits, null but for 2 and 4.
  void (*multiply[9])(const CodeRuns& runs, const IntegerBlock* x, uint32_t rows, float* sums);
};

// low' = low * cosine - high * sine, high' = high * cosine + low * sine
struct Rotation {
  const float *low, *high, *cosine, *sine;  // (count)
  float *new_low, *new_high;                // (count), may be low and high
  uint32_t count;
};

struct Kernels {
  const char* name;
  uint32_t code_rows;  // so many rows at most have a kernel in multiply_codes

  void (*multiply)(const Product& product);  // f32
  void (*multiply_f16)(const Product& product);
  void (*multiply_bf16)(const Product& product);
  void (*multiply_i8)(const Product& product);
  // tile (rows, 32) = scale * (code - zero), indexed by bits; null except for 2, 3, 4 and 8.
  void (*unpack[9])(const CodeRun& run, float* tile);
  // The same arithmetic as unpack and multiply, without storing the run.
  CodeKernels multiply_codes[9];
  void (*widen_f16)(const void* from, float* to, size_t count);
  void (*widen_bf16)(const void* from, float* to, size_t count);
  void (*widen_i8)(const void* from, float* to, size_t count);
  // scores[j] = exp(scores[j] * scale - max), max being the largest scaled score, and their sum.
  void (*softmax)(float* scores, uint32_t count, float scale, float* max, float* sum);
  // Rotates the pairs (x[i], x[i + half]) for i < half, as the op rope does.
  void (*rotate)(const Rotation& rotation);
  // y = gate / (1 + exp(-gate)) * up
  void (*silu_mul)(const float* gate, const float* up, float* y, size_t count);
  const IntegerKernels* integers;  // null: codes are multiplied in f32
};

// The kernels for an instruction set: "baseline", on x86-64 also "avx2", "avx512" and
// "avx512_vnni"; "auto" for the widest that this machine has. For tests "baseline_vnni": the bits
// of avx512_vnni from plain loops. nullptr where `wanted` is unknown or the machine lacks it.
const Kernels* select_kernels(const char* wanted);

}  // namespace ropewalk::cpu
