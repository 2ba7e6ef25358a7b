// Blocks of W times rows of x in registers: what the shader of few rows and that of processors share. An
// invocation computes kColumns columns, kLanes apart, for kRows rows of x, block by block.

// Loads 32 values of a row of x from `first` on; those from `count` on are zero.
void load_x(uint row, uint first, uint count, uint lane, out float value[kBlock]) {
  const uint at = row * depth + first;
#ifdef SHUFFLES  // a subgroup of kLanes loads x once and broadcasts it
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

// A block of the invocation's columns as it lies in memory.
struct Stored {
  uint word[kColumns][kBlockWords];
  vec2 scale[kColumns];
};

void load_block(uint block, uint first_column, out Stored stored) {
  [[unroll]] for (uint c = 0; c < kColumns; ++c) {
    const uint column = min(first_column + c * kLanes, width - 1);
    load_words(block, column, stored.word[c]);
    if (kQuantised) stored.scale[c] = load_scale(block, column);
  }
}

// sums += rows of x . the block, by its scale: scale * (sum of x * code - zero * sum of x).
void multiply_block(Stored stored, uint block, uint row, uint rows, uint lane, inout Sums sums) {
  const uvec2 here = rows_of_block(block);
  // unpack
  Pair pair[kColumns][kPairs];
  [[unroll]] for (uint c = 0; c < kColumns; ++c)
    [[unroll]] for (uint p = 0; p < kPairs; ++p) pair[c][p] = pair_of(stored.word[c], p);
  [[unroll]] for (uint r = 0; r < kRows; ++r) {
    float value[kBlock];
    load_x(min(row + r, rows - 1), here.x, here.y, lane, value);
    float total = 0;  // sum of x, for the zeros
    if (kQuantised)
      [[unroll]] for (uint i = 0; i < kBlock; ++i) total += value[i];
    [[unroll]] for (uint c = 0; c < kColumns; ++c) {
      float dot = 0;
      [[unroll]] for (uint p = 0; p < kPairs; ++p) {
        const uint i = row_of(p);
        dot = fma(value[i], float(pair[c][p].x), dot);
        dot = fma(value[i + kApart], float(pair[c][p].y), dot);
      }
      sums.of[r][c] += kQuantised ? stored.scale[c].x * (dot - stored.scale[c].y * total) : dot;
    }
  }
}
