// y += x . w for codes of 2 and 4 bits, with the sums of a block of 32 k in integers:
//
//   x[k] = s X[k]             X an integer of 23 bits, s a power of two for the block
//   y[n] += s scale[n] (sum over k of X[k] code[k][n]  -  zero[n] sum over k of X[k])
//
// X is three planes of int8, and a dot product of four bytes adds four terms of 16 columns:
//
//   plane of x      | k | k+1 | k+2 | k+3 |   the same in each lane
//   code, lane n    | k | k+1 | k+2 | k+3 |   of column n, a shift and a mask from its word
//
// A code minus a zero is in [-16, 15] and |X| < 2^22, so the sum of a block is below 2^31: it is
// exact, in any order, also where its parts overflow. It is rounded to f32, then times scale[n],
// then into y. So neither other rows nor the instruction set change a row's bits.
//
// Instructions for 512 weights, beside loads: 12 to unpack and 32 a row, 24 of them dot products.
// In f32 it is 96 and 32 multiply-adds. Bottleneck: for one row the memory that the codes stream
// from, for many rows dot products.
#include <bit>
#include <cstring>

#include "backends/cpu/kernels.h"
#include "backends/cpu/vectors.h"

namespace ropewalk::cpu::RW_ISA {
namespace {

static_assert(std::endian::native == std::endian::little, "byte i of a word is its i-th in memory");

constexpr int kVectors = kPanel / kLanes;
constexpr int kQuads = kBlock / 4;  // of neighbours in a block
constexpr int kPlanes = 3;

RW_INLINE void split_block(const float* x, IntegerBlock* to) {
  constexpr uint32_t kInfinity = 0x7f800000u;
  // The scale is then 2^-126, the least normal number: blocks below 2^-105 lose bits.
  constexpr uint32_t kLeastExponent = 127 - 105;
  constexpr float kRound = 0x1.8p23f;  // adding it leaves the nearest integer in the low bits
  uint32_t max = 0;
  for (uint32_t k = 0; k < kBlock; ++k) {
    const uint32_t size = bits_of_f32(x[k]) & 0x7fffffffu;
    max = size > max ? size : max;
  }
  // Of the largest element once it is rounded to 22 bits, which may make it a power of two.
  const uint32_t rounded = (max + 2) >> 23;
  const uint32_t exponent = rounded > kLeastExponent ? rounded : kLeastExponent;
  const float factor = f32_of_bits((127 + 127 + 21 - exponent) << 23);
  uint32_t minus_sum = 0;
  for (uint32_t k = 0; k < kBlock; ++k) {
    const uint32_t integer = bits_of_f32(x[k] * factor + kRound) - bits_of_f32(kRound);
    minus_sum -= integer;
    const uint32_t bytes = (integer + 0x808080u) ^ 0x808080u;  // each in [-128, 127]
    for (int p = 0; p < kPlanes; ++p) to->plane[p][k] = static_cast<int8_t>(bytes >> 8 * p);
  }
  to->scale = max < kInfinity ? f32_of_bits((exponent - 21) << 23) : __builtin_nanf("");
  to->minus_sum = minus_sum;
}

void split(const float* x, uint32_t depth, uint32_t group_size, IntegerBlock* to, size_t stride) {
  for (uint32_t group = 0; group < depth; group += group_size) {
    const uint32_t end = depth - group < group_size ? depth : group + group_size;
    uint32_t k = group;
    for (; k + kBlock <= end; k += kBlock, to += stride) split_block(x + k, to);
    if (k == end) continue;
    float last[kBlock] = {};
    std::memcpy(last, x + k, (end - k) * sizeof(float));
    split_block(last, to);
    to += stride;
  }
}

// A run's scales and zeros.
struct Group {
  Floats scale[kVectors];
  Words zero[kVectors];

  RW_INLINE explicit Group(const CodeRun& run) {
    for (int v = 0; v < kVectors; ++v) {
      const int at = v * kLanes;
      scale[v] = run.scale_type == ScaleType::f32
                     ? load_as_f32(static_cast<const float*>(run.scale) + at)
                     : load_as_f32(static_cast<const F16*>(run.scale) + at);
      zero[v] = load_as_words(static_cast<const uint8_t*>(run.zero) + at);
    }
  }
};

// A block's codes as bytes.
template <int Bits>
struct BlockCodes {
  Words quad[kQuads][kVectors];

  RW_INLINE explicit BlockCodes(const uint32_t* block) {
    constexpr uint32_t kMask = ((1u << Bits) - 1) * 0x01010101u;
    for (int q = 0; q < kQuads; ++q)
      for (int v = 0; v < kVectors; ++v) {
        const uint32_t word = q * 4 * Bits / 32;
        quad[q][v] = load(block + word * kPanel + v * kLanes) >> code_shift(Bits, q * 4) & kMask;
      }
  }
};

// y (32) += x . codes. Each plane has sums of its own, so that a dot product seldom waits.
template <int Bits>
RW_INLINE void add_block(const IntegerBlock& x, const BlockCodes<Bits>& codes, const Group& group,
                         float* y) {
  Words sum[kPlanes][kVectors];
  for (int v = 0; v < kVectors; ++v) {
    sum[0][v] = group.zero[v] * x.minus_sum;
    sum[1][v] = sum[2][v] = Words{};
  }
  for (int q = 0; q < kQuads; ++q)
    for (int p = 0; p < kPlanes; ++p) {
      uint32_t four;
      std::memcpy(&four, x.plane[p] + q * 4, sizeof four);
      for (int v = 0; v < kVectors; ++v) sum[p][v] = add_dot(sum[p][v], codes.quad[q][v], four);
    }
  for (int v = 0; v < kVectors; ++v) {
    const Words whole = (((sum[2][v] << 8) + sum[1][v]) << 8) + sum[0][v];
    // The scale is a power of two, so its product is exact, with a fused addition as without.
    const Floats product = f32_of_signed(whole) * group.scale[v] * x.scale;
    store(y + v * kLanes, load_as_f32(y + v * kLanes) + product);
  }
}

template <int Bits>
void multiply(const CodeRuns& runs, const IntegerBlock* x, uint32_t rows, float* sums) {
  for (uint32_t i = 0; i < runs.count; ++i) {
    const CodeRun run = runs[i];
    const Group group(run);
    for (uint32_t first = 0; first < run.rows; first += kBlock, x += rows) {
      const BlockCodes<Bits> codes(run.codes + first * Bits);
      for (uint32_t r = 0; r < rows; ++r) add_block(x[r], codes, group, sums + r * kPanel);
    }
  }
}

}  // namespace

extern const IntegerKernels kIntegers;
const IntegerKernels kIntegers = {
    split,
    {nullptr, nullptr, multiply<2>, nullptr, multiply<4>, nullptr, nullptr, nullptr, nullptr}};

}  // namespace ropewalk::cpu::RW_ISA
