// A packed weight (pack.h) times rows of x: what the matrix-vector and matrix-matrix shaders share.
//
// An invocation has kColumns columns, kLanes apart, of kRows rows of x. It goes down the column in
// blocks of 32 rows of W: unpacks 32 codes, multiplies them with 32 values of x for each row of x, and
// scales what comes out, since scale and zero are the same in the whole block:
//
//   sum over k of x[k] * scale * (code[k] - zero)  =  scale * (sum of x[k] * code[k] - zero * sum of x[k])
layout(constant_id = 2) const uint kBits = 4;       // 2 3 4 8: codes; 16 f16, 17 bf16, 32 f32
layout(constant_id = 3) const uint kRows = 1;       // rows of x an invocation computes at a time
layout(constant_id = 4) const uint kColumns = 1;    // columns of an invocation
layout(constant_id = 5) const uint kWholeBlocks = 0;   // every block has 32 rows, x may be read by fours
layout(constant_id = 6) const uint kWideScales = 0;  // scales are f32
layout(constant_id = 7) const uint kEpilogue = 0;  // 1: y = other + sum; 2: y = silu(other) * sum

const uint kBlock = 32;
const bool kQuantised = kBits <= 8;
const uint kBlockWords = kBits == 17 ? 16 : kBits;
const bool kByQuads = kBlockWords % 4 == 0;

layout(push_constant) uniform Push {
  Floats x;      // (R, depth)
  Words codes;   // pack.h
  Words scales;  // (groups, width) scale and zero
  Floats bias;   // (width)
  Floats other;  // (R, width)  of the epilogue
  Floats y;      // (R, width)
  Step step;
  uint depth;
  uint width;
  uint group_size;        // rows of W that share a scale; all of them for a dense weight
  uint blocks_per_group;
  uint blocks;
  uint over_wanted;
  uint has_bias;
  uint first_row;  // of this dispatch: a product too large for a submission is cut into several
};

struct Sums {
  float of[kRows][kColumns];
};

// The 32 values of a column's block, as numbers before scaling.
void load_codes(uint block, uint column, out float code[kBlock]) {
  uint word[kBlockWords];
  if (kByQuads) {
    const uint quads = kBlockWords / 4;
    [[unroll]] for (uint q = 0; q < quads; ++q) {
      const uvec4 quad = Quads(codes).at[(block * quads + q) * width + column];
      word[4 * q] = quad.x;
      word[4 * q + 1] = quad.y;
      word[4 * q + 2] = quad.z;
      word[4 * q + 3] = quad.w;
    }
  } else {
    [[unroll]] for (uint w = 0; w < kBlockWords; ++w)
      word[w] = codes.at[(block * width + column) * kBlockWords + w];
  }
  [[unroll]] for (uint i = 0; i < kBlock; ++i) {
    if (kBits == 32) {
      code[i] = uintBitsToFloat(word[i % kBlockWords]);
    } else if (kBits == 17) {
      const uint half_word = word[i / 2 % kBlockWords];
      code[i] = uintBitsToFloat((i & 1) == 0 ? half_word << 16 : half_word & 0xffff0000u);
    } else if (kBits == 16) {
      const vec2 pair = unpackHalf2x16(word[i / 2 % kBlockWords]);
      code[i] = (i & 1) == 0 ? pair.x : pair.y;
    } else {
      const uint at = i * kBits / 32 % kBlockWords, shift = i * kBits % 32;
      uint bits = word[at] >> shift;
      if (shift + kBits > 32) bits |= word[(at + 1) % kBlockWords] << (32 - shift);
      code[i] = float(bits & ((1u << kBits % 32) - 1));
    }
  }
}

// Scale and zero of a column's block.
vec2 load_scale(uint block, uint column) {
  const uint at = block / blocks_per_group * width + column;
  if (kWideScales != 0)
    return vec2(uintBitsToFloat(scales.at[2 * at]), uintBitsToFloat(scales.at[2 * at + 1]));
  return unpackHalf2x16(scales.at[at]);
}

// 32 values of a row of x from `first` on, those beyond `count` being zero.
void load_x(uint row, uint first, uint count, uint lane, out float value[kBlock]) {
  const uint at = row * depth + first;
#ifdef SHUFFLES  // x is read once by a subgroup of kLanes
  float mine[kBlock / 8];
  [[unroll]] for (uint q = 0; q < kBlock / kLanes; ++q) {
    const uint i = q * kLanes + lane;
    mine[q] = x.at[at + (kWholeBlocks != 0 ? i : min(i, count - 1))];
    if (kWholeBlocks == 0 && i >= count) mine[q] = 0;
  }
  [[unroll]] for (uint i = 0; i < kBlock; ++i)
    value[i] = subgroupShuffle(mine[i / kLanes], i % kLanes);
#else
  if (kWholeBlocks != 0) {
    [[unroll]] for (uint q = 0; q < kBlock / 4; ++q) {
      const vec4 four = Vectors(x).at[at / 4 + q];
      value[4 * q] = four.x;
      value[4 * q + 1] = four.y;
      value[4 * q + 2] = four.z;
      value[4 * q + 3] = four.w;
    }
  } else {
    [[unroll]] for (uint i = 0; i < kBlock; ++i)
      value[i] = i < count ? x.at[at + min(i, count - 1)] : 0;
  }
#endif
}

void multiply_block(uint block, uint row, uint rows, uint first_column, uint lane,
                    inout Sums sums) {
  const uint in_group = block % blocks_per_group * kBlock;
  const uint first = block / blocks_per_group * group_size + in_group;
  const uint count = min(kBlock, min(group_size - in_group, depth - first));
  float code[kColumns][kBlock];
  vec2 scale[kColumns];
  [[unroll]] for (uint c = 0; c < kColumns; ++c) {
    const uint column = min(first_column + c * kLanes, width - 1);
    load_codes(block, column, code[c]);
    if (kQuantised) scale[c] = load_scale(block, column);
  }
  [[unroll]] for (uint r = 0; r < kRows; ++r) {
    float value[kBlock];
    load_x(min(row + r, rows - 1), first, count, lane, value);
    float total = 0;
    if (kQuantised)
      [[unroll]] for (uint i = 0; i < kBlock; ++i) total += value[i];
    [[unroll]] for (uint c = 0; c < kColumns; ++c) {
      float dot = 0;
      [[unroll]] for (uint i = 0; i < kBlock; ++i) dot = fma(value[i], code[c][i], dot);
      sums.of[r][c] += kQuantised ? scale[c].x * (dot - scale[c].y * total) : dot;
    }
  }
}

void clear(out Sums sums) {
  [[unroll]] for (uint r = 0; r < kRows; ++r)
    [[unroll]] for (uint c = 0; c < kColumns; ++c) sums.of[r][c] = 0;
}

void store(uint row, uint column, float sum) {
  const uint at = row * width + column;
  if (has_bias != 0) sum += bias.at[column];
  if (kEpilogue == 1) sum = other.at[at] + sum;
  if (kEpilogue == 2) sum = other.at[at] / (1 + exp(-other.at[at])) * sum;
  y.at[at] = sum;
}
