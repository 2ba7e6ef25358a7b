// A packed weight (pack.h) and the arguments of a product with it: what all shaders of matrix products
// share. Converting integers is slow on many GPUs, so a code becomes the highest bits of a mantissa whose
// exponent is 0 and reads as 1 + code / 2^kBits. With scale' = scale * 2^kBits and
// zero' = 1 + zero / 2^kBits, all of them exact,
//
//   sum over k of x[k] * scale * (code[k] - zero)  =  scale' * (sum of x[k] * value[k] - zero' * sum of x[k])
//
// With F16 two such values are unpacked at once as f16, whose mantissa of 10 bits holds a code of 8.
layout(constant_id = 2) const uint kBits = 4;       // 2 3 4 8: codes; 16 f16, 17 bf16, 32 f32
layout(constant_id = 3) const uint kRows = 1;       // of x, per invocation
layout(constant_id = 4) const uint kColumns = 1;    // of W, per invocation
layout(constant_id = 5) const uint kWholeBlocks = 0;   // every block has 32 rows, so x is read by fours
layout(constant_id = 7) const uint kEpilogue = 0;  // 1: y = other + sum; 2: y = silu(other) * sum

const uint kBlock = 32;
const bool kQuantised = kBits <= 8;
const uint kBlockWords = kBits == 17 ? 16 : kBits;
const bool kByQuads = kBlockWords % 4 == 0;

// The values of a block come in pairs that lie 16 bits apart in a word where the codes allow it.
const uint kPairs = kBlock / 2;
const uint kApart = kBits == 3 || kBits > 8 ? 1 : 16 / kBits;
// The other row of the pair is kApart later.
uint row_of(uint pair) { return pair / kApart * 2 * kApart + pair % kApart; }

#ifdef F16
#define Pair f16vec2
#else
#define Pair vec2
#endif

layout(push_constant) uniform Push {
#ifdef GATED
  Words up_codes;
#elif defined(SPLIT)
  SharedFloats partials;  // (workgroups of columns, splits, kRows, columns)
#else
  Floats x;      // (R, depth)
#endif
  Words codes;   // pack.h
  Words scales;  // (groups, width) scale and zero
  Floats bias;   // (width)
#ifdef GATED
  Words up_scales;
#else
  Floats other;  // (R, width)  of the epilogue
#endif
  FloatResults y;  // (R, width)
  Step step;
#if defined(NORMED)
  Floats x;  // (R, depth)
#elif defined(PLANED)
  Words x_order;  // (depth)
#else
  Words x_prepared;  // of x_to_f16.comp: (R, blocks, 32) f16; or of x_to_i8.comp
#endif
#ifdef GATED
  Floats up_bias;
#elif defined(SPLIT)
  Counters counters;  // (workgroups of columns)
#else
  Floats row_scales;  // (R)
#endif
  uint depth;
  uint width;
  uint group_size;        // rows of W that share a scale; all of them for a dense weight
  uint blocks_per_group;
  uint blocks;
  uint over_wanted;
  uint has_bias;
  uint first_row;  // of this dispatch: a product too large for a submission is several
#ifdef GATED
  WordResults planes;  // (R, width / 32, kPlaneWords)
#endif
#ifdef NORMED
  Floats norm_weight;  // (depth)
  Words x_order;       // (depth)
#endif
};

#include "groups.glsl"

struct Sums {
  float of[kRows][kColumns];
};

void clear(out Sums sums) {
  [[unroll]] for (uint r = 0; r < kRows; ++r)
    [[unroll]] for (uint c = 0; c < kColumns; ++c) sums.of[r][c] = 0;
}

// Shifts the word so that bit `from` comes to bit `to`.
uint moved(uint word, uint from, uint to) { return from <= to ? word << (to - from) : word >> (from - to); }

const uint kMask = (1u << kBits % 32) - 1;

// Code `i` at bit `to`, with zeros around it.
uint code_at(uint word[kBlockWords], uint i, uint to) {
  const uint at = i * kBits / 32 % kBlockWords, shift = i * kBits % 32;
  if (shift + kBits <= 32) return moved(word[at], shift, to) & kMask << to;
  const uint bits = word[at] >> shift | word[(at + 1) % kBlockWords] << (32 - shift);
  return (bits & kMask) << to;
}

// Pair `p` of a block.
Pair pair_of(uint word[kBlockWords], uint p) {
#ifdef F16
  if (!kQuantised) return unpackFloat2x16(word[p % kBlockWords]);
  const uint to = 10 - kBits % 10, ones = 0x3c003c00u;
  const uint i = row_of(p), bit = i * kBits;
  if (kApart == 1)
    return unpackFloat2x16(ones | code_at(word, i, to) | code_at(word, i + 1, to + 16));
  return unpackFloat2x16(
      ones | moved(word[bit / 32 % kBlockWords], bit % 32, to) & (kMask << to) * 0x10001u);
#else
  if (kBits == 32)
    return uintBitsToFloat(uvec2(word[2 * p % kBlockWords], word[(2 * p + 1) % kBlockWords]));
  const uint both = word[p % kBlockWords];
  if (kBits == 17) return uintBitsToFloat(uvec2(both << 16, both & 0xffff0000u));
  if (kBits == 16) return unpackHalf2x16(both);
  const uint to = 23 - kBits % 23, one = 0x3f800000u, i = row_of(p);
  return uintBitsToFloat(one | uvec2(code_at(word, i, to), code_at(word, i + kApart, to)));
#endif
}

#ifdef WIDE_ADDRESSES  // 64-bit numbers, the same for a subgroup but for an offset of 32 bits
layout(buffer_reference, std430, buffer_reference_align = 16) restrict readonly buffer Quad { uvec4 of; };
uvec4 quad_of_codes(uint line, uint column) {
  return Quad(uint64_t(codes) + uint64_t(line) * (width * 16) + column * 16).of;
}
uint word_of_scales(uint line, uint column) {
  return Word(uint64_t(scales) + uint64_t(line) * (width * 4) + column * 4).of;
}
#else
uvec4 quad_of_codes(uint line, uint column) { return Quads(codes).at[line * width + column]; }
uint word_of_scales(uint line, uint column) { return scales.at[line * width + column]; }
#endif

void load_words(uint block, uint column, out uint word[kBlockWords]) {
  if (kByQuads) {
    const uint quads = kBlockWords / 4;
    [[unroll]] for (uint q = 0; q < quads; ++q) {
      const uvec4 quad = quad_of_codes(block * quads + q, column);
      word[4 * q] = quad.x;
      word[4 * q + 1] = quad.y;
      word[4 * q + 2] = quad.z;
      word[4 * q + 3] = quad.w;
    }
  } else {
    [[unroll]] for (uint w = 0; w < kBlockWords; ++w)
      word[w] = codes.at[(block * width + column) * kBlockWords + w];
  }
}

// The words that have scale and zero of a column's block.
uvec2 load_scale_words(uint block, uint column) {
  const uint group = group_of(block);
  if (kScales == 1) return uvec2(word_of_scales(2 * group, 2 * column), word_of_scales(2 * group, 2 * column + 1));
  return uvec2(word_of_scales(scale_row(group), column), kPackedZeros ? word_of_scales(zero_row(group), column) : 0);
}

// scale' and zero'.
vec2 scale_from(uvec2 words, uint block) {
  const vec2 pair = scale_and_zero(words.x, words.y, group_of(block));
  const float steps = float(1u << kBits % 32);
  return vec2(pair.x * steps, 1 + pair.y / steps);
}
vec2 load_scale(uint block, uint column) { return scale_from(load_scale_words(block, column), block); }

// The first of a block's rows in x, and how many of the 32 there are.
uvec2 rows_of_block(uint block) {
  const uint group = group_of(block);
  const uint in_group = (block - group * blocks_per_group) * kBlock;
  const uint first = group * group_size + in_group;
  return uvec2(first, min(kBlock, min(group_size - in_group, depth - first)));
}

#ifndef GATED
// Adds the bias, applies the epilogue and stores.
void store(uint row, uint column, float sum) {
  const uint at = row * width + column;
  if (has_bias != 0) sum += bias.at[column];
  if (kEpilogue == 1) sum = other.at[at] + sum;
  if (kEpilogue == 2) sum = other.at[at] / (1 + exp(-other.at[at])) * sum;
  y.at[at] = sum;
}
#endif
