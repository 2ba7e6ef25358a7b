// The loops of kernels.h, compiled once for each instruction set. Includes nothing whose inline
// functions the linker could share with the rest of the program.
#include "core/quantize/kernels.h"

namespace ropewalk::quantize::RW_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
constexpr uint32_t kRowsAtOnce = 8;  // with two vectors of columns: 16 of the 32 registers
#else
#if defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif
constexpr uint32_t kRowsAtOnce = 4;  // 8 of the 16 registers
#endif

template <class T>
struct VectorOf;
template <>
struct VectorOf<float> {
  using Type = float __attribute__((vector_size(kVectorBytes)));
  using At __attribute__((aligned(4), may_alias)) = Type;
};
template <>
struct VectorOf<double> {
  using Type = double __attribute__((vector_size(kVectorBytes)));
  using At __attribute__((aligned(8), may_alias)) = Type;
};

template <class T>
inline constexpr uint32_t kColumnsAtOnce = 2 * kVectorBytes / sizeof(T);

// A block of y stays in registers.
template <uint32_t kRows, class T>
void add_block(const Product<T>& p, uint32_t row, uint32_t column) {
  using Vector = typename VectorOf<T>::Type;
  using At = typename VectorOf<T>::At;
  constexpr uint32_t kLanes = kVectorBytes / sizeof(T);
  const T* a = p.a + row * p.a_row;
  const T* b = p.b + column;
  T* y = p.y + row * p.y_stride + column;
  Vector left[kRows], right[kRows];
  for (uint32_t r = 0; r < kRows; ++r) {
    left[r] = *reinterpret_cast<const At*>(y + r * p.y_stride);
    right[r] = *reinterpret_cast<const At*>(y + r * p.y_stride + kLanes);
  }
  for (uint32_t k = 0; k < p.depth; ++k) {
    const Vector b_left = *reinterpret_cast<const At*>(b);
    const Vector b_right = *reinterpret_cast<const At*>(b + kLanes);
    for (uint32_t r = 0; r < kRows; ++r) {
      const T value = a[r * p.a_row];
      left[r] += value * b_left;
      right[r] += value * b_right;
    }
    a += p.a_depth;
    b += p.b_stride;
  }
  for (uint32_t r = 0; r < kRows; ++r) {
    *reinterpret_cast<At*>(y + r * p.y_stride) = left[r];
    *reinterpret_cast<At*>(y + r * p.y_stride + kLanes) = right[r];
  }
}

// Columns that fill no block.
template <class T>
void add_rest(const Product<T>& p, uint32_t column) {
  for (uint32_t r = 0; r < p.rows; ++r)
    for (uint32_t k = 0; k < p.depth; ++k) {
      const T value = p.a[r * p.a_row + k * p.a_depth];
      for (uint32_t c = column; c < p.columns; ++c)
        p.y[r * p.y_stride + c] += value * p.b[k * p.b_stride + c];
    }
}

template <class T>
void add(const Product<T>& p) {
  uint32_t column = 0;
  for (; column + kColumnsAtOnce<T> <= p.columns; column += kColumnsAtOnce<T>) {
    uint32_t row = 0;
    for (; row + kRowsAtOnce <= p.rows; row += kRowsAtOnce) add_block<kRowsAtOnce>(p, row, column);
    for (; row < p.rows; ++row) add_block<1>(p, row, column);
  }
  if (column < p.columns) add_rest(p, column);
}

// Rounds half to even: at 1.5 * 2^23 the last bit of an f32 is worth 1. What is too large for that
// is clamped anyway.
float nearest(float value) { return value + 12582912.0f - 12582912.0f; }

void cost(const RangeCosts& c) {
  double costs[kRanges] = {};
  for (uint32_t i = 0; i < c.count; ++i) {
    const float weight = c.weights[i];
    const double importance = c.importance[i];
    float errors[kRanges];
    for (uint32_t j = 0; j < kRanges; ++j) {
      float code = nearest(weight / c.scales[j]) + c.zeros[j];
      code = code < 0 ? 0 : code;
      code = code > c.max_code ? c.max_code : code;
      errors[j] = weight - c.scales[j] * (code - c.zeros[j]);
    }
    for (uint32_t j = 0; j < kRanges; ++j) {
      const double weighted = static_cast<double>(errors[j]) / importance;
      costs[j] += weighted * weighted;
    }
  }
  for (uint32_t j = 0; j < kRanges; ++j) c.costs[j] = costs[j];
}

}  // namespace

extern const Kernels kKernels;
const Kernels kKernels{RW_ISA_NAME, &add<float>, &add<double>, &cost};

}  // namespace ropewalk::quantize::RW_ISA
