// Compiled once for each instruction set, in a namespace of its own (RW_ISA); see CMakeLists.txt.
#include "backends/cpu/kernels.h"

#include <type_traits>

#include "backends/cpu/numeric.h"

#if defined(__F16C__)
#include <immintrin.h>
#endif

namespace ropewalk::cpu::RW_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

// GCC's and Clang's portable vectors: arithmetic on all lanes at once. Plain loops would say the
// same, but GCC 12 does not keep a block of sums in registers across the loop over depth.
constexpr int kVectorBytes = kLanes * 4;
using Floats = float __attribute__((vector_size(kVectorBytes)));
using Words = uint32_t __attribute__((vector_size(kVectorBytes)));
using Ints = int32_t __attribute__((vector_size(kVectorBytes)));
using FloatsAt = float __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));
using WordsAt = uint32_t __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));

RW_INLINE Floats load(const float* from) { return *reinterpret_cast<const FloatsAt*>(from); }
RW_INLINE Words load(const uint32_t* from) { return *reinterpret_cast<const WordsAt*>(from); }
RW_INLINE void store(float* to, Floats value) { *reinterpret_cast<FloatsAt*>(to) = value; }
RW_INLINE Floats all(float value) { return value - Floats{}; }

RW_INLINE Floats widen(const uint16_t* halves) {
#if defined(__AVX512F__)
  // Masked with all lanes on: GCC 12 takes the plain form's don't-care operand for a mistake
  // (105593).
  return _mm512_maskz_cvtph_ps(0xffff,
                               _mm256_loadu_si256(reinterpret_cast<const __m256i*>(halves)));
#elif defined(__F16C__)
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves)));
#else
  Floats wide;
  for (int i = 0; i < kLanes; ++i) wide[i] = f32_of_f16(halves[i]);
  return wide;
#endif
}

template <class Integer>
RW_INLINE Floats widen_integers(const Integer* integers) {
  float wide[kLanes];
  for (int i = 0; i < kLanes; ++i) wide[i] = integers[i];
  return load(wide);
}

// A block of Rows x two vectors of y, whose sums stay in registers.
template <int Rows>
RW_INLINE void multiply_block(const Product& p, uint32_t row, uint32_t column) {
  Floats sum[Rows][2];
  float* y = p.y + row * p.y_stride + column;
  const float* x = p.x + row * p.x_stride;
  const float* w = p.w + column;
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < 2; ++v) sum[r][v] = load(y + r * p.y_stride + v * kLanes);
  for (uint32_t k = 0; k < p.depth; ++k, w += p.w_stride) {
    const Floats w0 = load(w), w1 = load(w + kLanes);
    for (int r = 0; r < Rows; ++r) {
      const float factor = x[r * p.x_stride + k];
      sum[r][0] += factor * w0;
      sum[r][1] += factor * w1;
    }
  }
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < 2; ++v) store(y + r * p.y_stride + v * kLanes, sum[r][v]);
}

void multiply(const Product& p) {
  for (uint32_t column = 0; column < p.columns; column += 2 * kLanes) {
    uint32_t row = 0;
    for (; row + 6 <= p.rows; row += 6) multiply_block<6>(p, row, column);
    switch (p.rows - row) {
      case 5:
        multiply_block<5>(p, row, column);
        break;
      case 4:
        multiply_block<4>(p, row, column);
        break;
      case 3:
        multiply_block<3>(p, row, column);
        break;
      case 2:
        multiply_block<2>(p, row, column);
        break;
      case 1:
        multiply_block<1>(p, row, column);
        break;
      default:
        break;
    }
  }
}

// The two vectors of columns [column, column + 2 lanes) of a run, row by row as f32.
template <int Bits>
struct Codes {
  static constexpr uint32_t kMask = (1u << Bits) - 1;
  Words word[2][Bits];  // of the present block
  Floats scale[2], zero[2];

  RW_INLINE Codes(const CodeRun& run, uint32_t column) {
    using Zero = std::conditional_t<Bits == 8, uint16_t, uint8_t>;
    for (int v = 0; v < 2; ++v) {
      const uint32_t at = column + v * kLanes;
      scale[v] = run.scale_type == ScaleType::f32
                     ? load(static_cast<const float*>(run.scale) + at)
                     : widen(static_cast<const uint16_t*>(run.scale) + at);
      zero[v] = widen_integers(static_cast<const Zero*>(run.zero) + at);
    }
  }
  RW_INLINE void open(const uint32_t* block) {
    for (int v = 0; v < 2; ++v)
      for (int b = 0; b < Bits; ++b) word[v][b] = load(block + b * kPanel + v * kLanes);
  }
  RW_INLINE Floats row(int v, uint32_t k) const {
    const uint32_t first = Bits * k / 32, shift = Bits * k % 32;
    Words code = word[v][first] >> shift;
    if (shift + Bits > 32) code |= word[v][first + 1] << (32 - shift);
    const Ints small = __builtin_bit_cast(Ints, code & kMask);
    return scale[v] * (__builtin_convertvector(small, Floats) - zero[v]);
  }
};

template <int Bits>
void unpack(const CodeRun& run, float* tile) {
  for (uint32_t column = 0; column < kPanel; column += 2 * kLanes) {
    Codes<Bits> codes(run, column);
    float* to = tile + column;
    for (uint32_t first = 0; first < run.rows; first += kBlock) {
      codes.open(run.codes + first * Bits + column);
      const uint32_t rows = run.rows - first < kBlock ? run.rows - first : kBlock;
      for (uint32_t k = 0; k < rows; ++k, to += kPanel) {
        store(to, codes.row(0, k));
        store(to + kLanes, codes.row(1, k));
      }
    }
  }
}

template <int Bits>
void multiply_codes(const CodeRun& run, const float* x, float* sum) {
  for (uint32_t column = 0; column < kPanel; column += 2 * kLanes) {
    Codes<Bits> codes(run, column);
    Floats sum0 = load(sum + column), sum1 = load(sum + column + kLanes);
    for (uint32_t first = 0; first < run.rows; first += kBlock) {
      codes.open(run.codes + first * Bits + column);
      const uint32_t rows = run.rows - first < kBlock ? run.rows - first : kBlock;
      for (uint32_t k = 0; k < rows; ++k) {
        sum0 += x[first + k] * codes.row(0, k);
        sum1 += x[first + k] * codes.row(1, k);
      }
    }
    store(sum + column, sum0);
    store(sum + column + kLanes, sum1);
  }
}

void widen_f16(const uint16_t* from, float* to, size_t count) {
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(to + i, widen(from + i));
  for (; i < count; ++i) to[i] = f32_of_f16(from[i]);
}

void widen_bf16(const uint16_t* from, float* to, size_t count) {
  for (size_t i = 0; i < count; ++i) to[i] = f32_of_bf16(from[i]);
}

void widen_i8(const int8_t* from, float* to, size_t count) {
  for (size_t i = 0; i < count; ++i) to[i] = static_cast<float>(from[i]);
}

// exp(x) to 2 units in the last place: x = n ln 2 + r, a polynomial for exp(r) (Cephes, expf.c),
// and n added to the exponent. Below -87 the result is 0, above 88 it stays at exp(88); NaN stays
// NaN.
RW_INLINE Floats exp(Floats x) {
  const Floats clamped = x < -87.0f ? all(-87.0f) : x > 88.0f ? all(88.0f) : x;
  constexpr float kRound = 0x1.8p23f;  // adding it leaves the nearest integer in the low bits
  const Floats shifted = clamped * 1.44269504088896341f + kRound;
  const Floats n = shifted - kRound;
  const Floats r = clamped - n * 0.693359375f - n * -2.12194440e-4f;
  Floats p = all(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const Words power = (__builtin_bit_cast(Words, shifted) + 127u) << 23;
  const Floats result = p * __builtin_bit_cast(Floats, power);
  return x < -87.0f ? all(0.0f) : result;
}

RW_INLINE float exp_one(float x) { return exp(all(x))[0]; }

// Both reductions go lane by lane and then over the lanes in order: one order for every count.
void softmax(float* scores, uint32_t count, float scale, float* max, float* sum) {
  const uint32_t whole = count / kLanes * kLanes;
  Floats most = all(-__builtin_inff());
  for (uint32_t j = 0; j < whole; j += kLanes) {
    const Floats score = load(scores + j) * scale;
    most = most < score ? score : most;
    store(scores + j, score);
  }
  float greatest = -__builtin_inff();
  for (int i = 0; i < kLanes; ++i) greatest = greatest < most[i] ? most[i] : greatest;
  for (uint32_t j = whole; j < count; ++j) {
    scores[j] *= scale;
    greatest = greatest < scores[j] ? scores[j] : greatest;
  }
  Floats total = all(0.0f);
  for (uint32_t j = 0; j < whole; j += kLanes) {
    const Floats weight = exp(load(scores + j) - greatest);
    total += weight;
    store(scores + j, weight);
  }
  float all_of_it = 0;
  for (int i = 0; i < kLanes; ++i) all_of_it += total[i];
  for (uint32_t j = whole; j < count; ++j) {
    scores[j] = exp_one(scores[j] - greatest);
    all_of_it += scores[j];
  }
  *max = greatest;
  *sum = all_of_it;
}

void silu_mul(const float* gate, const float* up, float* y, size_t count) {
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const Floats g = load(gate + i);
    store(y + i, g / (1.0f + exp(-g)) * load(up + i));
  }
  for (; i < count; ++i) y[i] = gate[i] / (1.0f + exp_one(-gate[i])) * up[i];
}

}  // namespace

extern const Kernels kKernels;
const Kernels kKernels = {
    RW_ISA_NAME,
    multiply,
    {nullptr, nullptr, unpack<2>, unpack<3>, unpack<4>, nullptr, nullptr, nullptr, unpack<8>},
    {nullptr, nullptr, multiply_codes<2>, multiply_codes<3>, multiply_codes<4>, nullptr, nullptr,
     nullptr, multiply_codes<8>},
    widen_f16,
    widen_bf16,
    widen_i8,
    softmax,
    silu_mul,
};

}  // namespace ropewalk::cpu::RW_ISA
