// The loops of kernels.h. Compiled once for each instruction set, in a namespace of its own
// (RW_ISA); see CMakeLists.txt.
#include "backends/cpu/kernels.h"

#include <type_traits>

#include "backends/cpu/vectors.h"

namespace ropewalk::cpu::RW_ISA {
namespace {

// y += x . w for a block of Rows x two vectors of y. The sums stay in registers.
template <int Rows, class Weight>
RW_INLINE void multiply_block(const Product& p, uint32_t row, uint32_t column) {
  Floats sum[Rows][2];
  float* y = p.y + row * p.y_stride + column;
  const float* x = p.x + row * p.x_stride;
  const Weight* w = static_cast<const Weight*>(p.w) + column;
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < 2; ++v) sum[r][v] = load_as_f32(y + r * p.y_stride + v * kLanes);
  for (uint32_t k = 0; k < p.depth; ++k, w += p.w_stride) {
    const Floats w0 = load_as_f32(w), w1 = load_as_f32(w + kLanes);
    for (int r = 0; r < Rows; ++r) {
      const float factor = x[r * p.x_stride + k];
      sum[r][0] += factor * w0;
      sum[r][1] += factor * w1;
    }
  }
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < 2; ++v) store(y + r * p.y_stride + v * kLanes, sum[r][v]);
}

// Rows of a block: AVX-512 has 32 registers, the others 16.
constexpr int kBlockRows = kLanes == 16 ? 8 : 6;
static_assert(kProductRows <= kBlockRows);
// Rows whose sums fit beside the codes of a run.
constexpr int kCodeRows = kLanes == 16 ? 8 : 3;

// The last rows, fewer than a block.
template <int Rows, class Weight>
RW_INLINE void multiply_rest(const Product& p, uint32_t row, uint32_t column) {
  if constexpr (Rows > 0) {
    if (p.rows - row == Rows) return multiply_block<Rows, Weight>(p, row, column);
    multiply_rest<Rows - 1, Weight>(p, row, column);
  }
}

template <class Weight>
void multiply(const Product& p) {
  for (uint32_t column = 0; column < p.columns; column += 2 * kLanes) {
    uint32_t row = 0;
    for (; row + kBlockRows <= p.rows; row += kBlockRows)
      multiply_block<kBlockRows, Weight>(p, row, column);
    multiply_rest<kBlockRows - 1, Weight>(p, row, column);
  }
}

// Columns [column, column + 2 lanes) of a run, row by row as f32. A code becomes f32 without a
// conversion: put into the low bits of 2^23 it reads as 2^23 + code, from which 2^23 + zero is
// subtracted exactly.
template <int Bits_>
struct Codes {
  static constexpr int Bits = Bits_;
  static constexpr uint32_t kMask = (1u << Bits) - 1;
  Words word[2][Bits];  // of the current block
  Floats scale[2], zero[2];

  RW_INLINE Codes(const CodeRun& run, uint32_t column) {
    using Zero = std::conditional_t<Bits == 8, uint16_t, uint8_t>;
    for (int v = 0; v < 2; ++v) {
      const uint32_t at = column + v * kLanes;
      scale[v] = run.scale_type == ScaleType::f32
                     ? load_as_f32(static_cast<const float*>(run.scale) + at)
                     : load_as_f32(static_cast<const F16*>(run.scale) + at);
      zero[v] = 0x1p23f + load_as_f32(static_cast<const Zero*>(run.zero) + at);
    }
  }
  RW_INLINE void open(const uint32_t* block) {
    for (int v = 0; v < 2; ++v)
      for (int b = 0; b < Bits; ++b) word[v][b] = load(block + b * kPanel + v * kLanes);
  }
  RW_INLINE Floats row(int v, uint32_t k) const {
    const uint32_t first = Bits * k / 32, shift = code_shift(Bits, k);
    Words code = word[v][first] >> shift;
    if (shift + Bits > 32) code |= word[v][first + 1] << (32 - shift);
    code = (code & kMask) | __builtin_bit_cast(uint32_t, 0x1p23f);
    return scale[v] * (__builtin_bit_cast(Floats, code) - zero[v]);
  }
};

#if defined(__AVX512F__)

// The same numbers for 4 bits and scales in f16, with an instruction less. A vector of 16 floats is
// the table of the codes, so no mask and no subtraction is needed. Codes and zeros have at most 5
// bits and a scale has 11, so both products are exact in f32, and so is their difference.
struct FourBitCodes {
  static constexpr int Bits = 4;
  Words word[2][Bits];  // of the current block
  Floats scale[2], scaled_zero[2];

  RW_INLINE FourBitCodes(const CodeRun& run, uint32_t column) {
    for (int v = 0; v < 2; ++v) {
      const uint32_t at = column + v * kLanes;
      scale[v] = load_as_f32(static_cast<const F16*>(run.scale) + at);
      scaled_zero[v] = scale[v] * load_as_f32(static_cast<const uint8_t*>(run.zero) + at);
    }
  }
  RW_INLINE void open(const uint32_t* block) {
    for (int v = 0; v < 2; ++v)
      for (int b = 0; b < Bits; ++b) word[v][b] = load(block + b * kPanel + v * kLanes);
  }
  RW_INLINE Floats row(int v, uint32_t k) const {
    return f32_of_low_4_bits(word[v][k / 8] >> code_shift(4, k)) * scale[v] - scaled_zero[v];
  }
};

#endif

// Calls step(k, first vector of row k, second vector) for each row of the run. Whole blocks are
// unrolled, so that a row's word and shift are constants.
template <class Codes, class Step>
RW_INLINE void for_each_row_of(const CodeRun& run, uint32_t column, const Step& step) {
  constexpr int Bits = Codes::Bits;
  Codes codes(run, column);
  uint32_t first = 0;
  for (; first + kBlock <= run.rows; first += kBlock) {
    codes.open(run.codes + first * Bits + column);
#pragma GCC unroll 32
    for (uint32_t k = 0; k < kBlock; ++k) step(first + k, codes.row(0, k), codes.row(1, k));
  }
  if (first == run.rows) return;
  codes.open(run.codes + first * Bits + column);
  for (uint32_t k = 0; first + k < run.rows; ++k) step(first + k, codes.row(0, k), codes.row(1, k));
}

template <int Bits, class Step>
RW_INLINE void for_each_row(const CodeRun& run, uint32_t column, const Step& step) {
#if defined(__AVX512F__)
  if (Bits == 4 && run.scale_type == ScaleType::f16)
    return for_each_row_of<FourBitCodes>(run, column, step);
#endif
  for_each_row_of<Codes<Bits>>(run, column, step);
}

template <int Bits>
void unpack(const CodeRun& run, float* tile) {
  for (uint32_t column = 0; column < kPanel; column += 2 * kLanes)
    for_each_row<Bits>(
        run, column, [&](uint32_t k, Floats w0, Floats w1) __attribute__((always_inline)) {
          store(tile + k * kPanel + column, w0);
          store(tile + k * kPanel + column + kLanes, w1);
        });
}

// The rows' sums stay in registers, so a run is unpacked once for all of them.
template <int Bits, int Rows>
void multiply_codes(const CodeRuns& runs, const float* x, size_t x_stride, float* sums) {
  for (uint32_t column = 0; column < kPanel; column += 2 * kLanes) {
    Floats sum[Rows][2];
    for (int r = 0; r < Rows; ++r)
      for (int v = 0; v < 2; ++v) sum[r][v] = load_as_f32(sums + r * kPanel + column + v * kLanes);
    const float* from = x;
    for (uint32_t i = 0; i < runs.count; ++i, from += runs.first.rows)
      for_each_row<Bits>(
          runs[i], column, [&](uint32_t k, Floats w0, Floats w1) __attribute__((always_inline)) {
            for (int r = 0; r < Rows; ++r) {
              const float factor = from[r * x_stride + k];
              sum[r][0] += factor * w0;
              sum[r][1] += factor * w1;
            }
          });
    for (int r = 0; r < Rows; ++r)
      for (int v = 0; v < 2; ++v) store(sums + r * kPanel + column + v * kLanes, sum[r][v]);
  }
}

template <int Bits, int Rows>
constexpr CodeKernel code_kernel() {
  if constexpr (Rows <= kCodeRows)
    return multiply_codes<Bits, Rows>;
  else
    return nullptr;
}

template <int Bits>
constexpr CodeKernels code_kernels() {
  static_assert(kMaxCodeRows == 8);
  return {{nullptr, code_kernel<Bits, 1>(), code_kernel<Bits, 2>(), code_kernel<Bits, 3>(),
           code_kernel<Bits, 4>(), code_kernel<Bits, 5>(), code_kernel<Bits, 6>(),
           code_kernel<Bits, 7>(), code_kernel<Bits, 8>()}};
}

template <class Stored>
void widen(const void* from, float* to, size_t count) {
  const auto* stored = static_cast<const Stored*>(from);
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(to + i, load_as_f32(stored + i));
  for (; i < count; ++i) to[i] = as_f32(stored[i]);
}

// exp(x) to 2 units in the last place: x = n ln 2 + r, a polynomial for exp(r) (Cephes, expf.c),
// and n added to the exponent. 0 below -87, exp(88) above 88, NaN for NaN.
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

// Both reductions run lane by lane and then over the lanes: always in the same order.
void softmax(float* scores, uint32_t count, float scale, float* max, float* sum) {
  const uint32_t whole = count / kLanes * kLanes;

  // scale, and max over the scores
  Floats lane_max = all(-__builtin_inff());
  for (uint32_t j = 0; j < whole; j += kLanes) {
    const Floats score = load_as_f32(scores + j) * scale;
    lane_max = lane_max < score ? score : lane_max;
    store(scores + j, score);
  }
  float max_score = -__builtin_inff();
  for (int i = 0; i < kLanes; ++i) max_score = max_score < lane_max[i] ? lane_max[i] : max_score;
  for (uint32_t j = whole; j < count; ++j) {
    scores[j] *= scale;
    max_score = max_score < scores[j] ? scores[j] : max_score;
  }

  // exponentiate, and sum over the scores
  Floats lane_sum = all(0.0f);
  for (uint32_t j = 0; j < whole; j += kLanes) {
    const Floats weight = exp(load_as_f32(scores + j) - max_score);
    lane_sum += weight;
    store(scores + j, weight);
  }
  float total = 0;
  for (int i = 0; i < kLanes; ++i) total += lane_sum[i];
  for (uint32_t j = whole; j < count; ++j) {
    scores[j] = exp_one(scores[j] - max_score);
    total += scores[j];
  }
  *max = max_score;
  *sum = total;
}

void rotate(const Rotation& r) {
  for (uint32_t i = 0; i < r.count; ++i) {
    const float low = r.low[i], high = r.high[i];
    r.new_low[i] = low * r.cosine[i] - high * r.sine[i];
    r.new_high[i] = high * r.cosine[i] + low * r.sine[i];
  }
}

void silu_mul(const float* gate, const float* up, float* y, size_t count) {
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const Floats g = load_as_f32(gate + i);
    store(y + i, g / (1.0f + exp(-g)) * load_as_f32(up + i));
  }
  for (; i < count; ++i) y[i] = gate[i] / (1.0f + exp_one(-gate[i])) * up[i];
}

}  // namespace

extern const Kernels kKernels;
const Kernels kKernels = {
    RW_ISA_NAME,
    kCodeRows,
    multiply<float>,
    multiply<F16>,
    multiply<Bf16>,
    multiply<int8_t>,
    {nullptr, nullptr, unpack<2>, unpack<3>, unpack<4>, nullptr, nullptr, nullptr, unpack<8>},
    {{},
     {},
     code_kernels<2>(),
     code_kernels<3>(),
     code_kernels<4>(),
     {},
     {},
     {},
     code_kernels<8>()},
    widen<F16>,
    widen<Bf16>,
    widen<int8_t>,
    softmax,
    rotate,
    silu_mul,
    nullptr,
};

}  // namespace ropewalk::cpu::RW_ISA
