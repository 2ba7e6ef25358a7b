#version 460
// y = x . W + bias for 1 to 8 rows of x and codes of 4 bits, in integers: a code times a plane of
// planes.glsl, four at a time. The sums of a block are exact, so its error is that of x alone, 2^-15 of the
// block's maximum at most. Per block of 32 rows, with q the whole numbers of x:
//
//   sum over k of x[k] * scale * (code[k] - zero)  =  scale * x_scale * (sum of q[k] * code[k] - zero * sum of q)
//
// Grid: (columns / workgroup's, 1). Each subgroup of a workgroup takes a share of the blocks for the same columns;
// their sums are added in the order of the shares. What depends on the block alone is the same for a
// subgroup, so x comes by scalar loads. Bottleneck: the memory that W streams from, each word once.
// With GATED it is y = silu(x . W + bias) * (x . up + up_bias): both sums of a column in one invocation, and y
// is stored as planes too, for the product that reads it. Saves two dispatches and two barriers.
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#include "common.glsl"
#include "dot.glsl"
#ifdef GATED
#include "round.glsl"
#include "planes.glsl"
#endif

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint kSlices = 8;
layout(constant_id = 9) const uint kBlocksAhead = 4;  // that are loaded before the first is used
layout(constant_id = 10) const uint kLanes = 32;      // of a subgroup
#ifdef GATED
layout(constant_id = 11) const uint kPlanes = 0;  // y is stored as planes too
#endif
#include "weights.glsl"

layout(buffer_reference, std430, buffer_reference_align = 16) restrict readonly buffer Quad { uvec4 of; };

#ifdef GATED
const uint kWeights = 2;  // gate and up
// Subgroups side by side, so that a workgroup's columns are whole blocks of planes.
const uint kGroups = kLanes < 32 ? 32 / kLanes : 1;
const uint kAcross = kGroups * kLanes;  // columns of a workgroup
const uint kRowGap = kAcross + kAcross / 32;
shared float results[kPlanes != 0 ? kRows * kRowGap : 1];
#else
const uint kWeights = 1, kGroups = 1, kAcross = kLanes;
#endif
shared float parts[kSlices > 1 ? kSlices * kRows * kWeights * kAcross : 1];

uint64_t codes_of(uint m) {
#ifdef GATED
  return m == 1 ? uint64_t(up_codes) : uint64_t(codes);
#else
  return uint64_t(codes);
#endif
}

uint64_t scales_of(uint m) {
#ifdef GATED
  return m == 1 ? uint64_t(up_scales) : uint64_t(scales);
#else
  return uint64_t(scales);
#endif
}

// The words that have a group's scale and zero; with packed zeros two or eight groups share one.
uint scale_word(uint m, uint group, uint column) {
  const uint row = kPackedZeros ? group / 8 * 5 + group % 8 / 2 : kScales == 1 ? 2 * group : group;
  return Word(scales_of(m) + uint64_t(row) * width * 4 + column * (kScales == 1 ? 8 : 4)).of;
}
uint zero_word(uint m, uint group, uint column) {
  if (kPackedZeros) return Word(scales_of(m) + uint64_t(group / 8 * 5 + 4) * width * 4 + column * 4).of;
  return kScales == 1 ? Word(scales_of(m) + uint64_t(2 * group) * width * 4 + column * 8 + 4).of : 0;
}
vec2 scale_and_zero(uint scale_word, uint zero_word, uint group) {
  if (kPackedZeros) return packed_scale(scale_word, zero_word, group);
  return kScales == 1 ? uintBitsToFloat(uvec2(scale_word, zero_word)) : unpackHalf2x16(scale_word);
}

// Blocks are loaded in runs that begin at multiples of kBlocksAhead, a power of two. Where a group's blocks
// are a power of two as well, it is known which blocks of a run share a word of scales or of zeros.
bool shares_words() { return kPackedZeros && kGroupBlocks != 0 && (kGroupBlocks & (kGroupBlocks - 1)) == 0; }
bool is_first_of(uint i, uint groups) {
  return !shares_words() || i % min(groups * kGroupBlocks, kBlocksAhead) == 0;
}
uint group_in_run(uint first, uint i) {
  return shares_words() && kBlocksAhead >= 8 * kGroupBlocks ? i / kGroupBlocks : group_of(first + i);
}

#ifdef GATED
// Stores a row's silu(gate) * up.
void store_gated(uint row, uint column, float sum[kWeights]) {
  if ((has_bias & 1) != 0) sum[0] += bias.at[column];
  if ((has_bias & 2) != 0) sum[1] += up_bias.at[column];
  const float result = sum[0] / (1 + exp(-sum[0])) * sum[1];
  y.at[row * width + column] = result;
  const uint lane = column % kAcross;
  if (kPlanes != 0) results[row * kRowGap + lane + lane / 32] = result;
}

// Stores the planes of this workgroup's columns, a block an invocation.
void store_all_planes(uint rows) {
  barrier();
  const uint in_row = kAcross / 32;
  for (uint n = gl_LocalInvocationID.x; n < rows * in_row; n += gl_WorkGroupSize.x) {
    const uint row = n / in_row, block = gl_WorkGroupID.x * in_row + n % in_row;
    if (block >= width / 32) continue;
    float values[32];
    [[unroll]] for (uint k = 0; k < 32; ++k) values[k] = results[row * kRowGap + n % in_row * 33 + k];
    store_planes(planes, (row * (width / 32) + block) * kPlaneWords, values);
  }
}
#endif

void main() {
  const uint rows = row_count(step, over_wanted);
  if (rows == 0) return;
  const uint slice = gl_SubgroupID / kGroups, lane = gl_SubgroupID % kGroups * kLanes + gl_SubgroupInvocationID;
  const uint first_column = gl_WorkGroupID.x * kAcross + lane, column = min(first_column, width - 1);
  const uint runs = (blocks + kBlocksAhead - 1) / kBlocksAhead;
  const uint share = (runs + kSlices - 1) / kSlices * kBlocksAhead;
  const uint begin = min(slice * share, blocks), end = min(begin + share, blocks);
  const uint64_t row_bytes = uint64_t(blocks) * 80;
  float sum[kRows][kWeights];
  [[unroll]] for (uint r = 0; r < kRows; ++r)
    [[unroll]] for (uint m = 0; m < kWeights; ++m) sum[r][m] = 0;

  for (uint first = begin; first < end; first += kBlocksAhead) {
    // load
    uvec4 code[kBlocksAhead][kWeights];
    uint scales_at[kBlocksAhead][kWeights], zeros_at[kBlocksAhead][kWeights];
    [[unroll]] for (uint i = 0; i < kBlocksAhead; ++i) {
      const uint block = min(first + i, end - 1);
      [[unroll]] for (uint m = 0; m < kWeights; ++m) {
        code[i][m] = Quad(codes_of(m) + uint64_t(block) * (width * 16) + column * 16).of;
        scales_at[i][m] = is_first_of(i, 2) ? scale_word(m, group_of(block), column) : scales_at[i > 0 ? i - 1 : 0][m];
        zeros_at[i][m] = is_first_of(i, 8) ? zero_word(m, group_of(block), column) : zeros_at[i > 0 ? i - 1 : 0][m];
      }
    }
    // multiply
    [[unroll]] for (uint i = 0; i < kBlocksAhead; ++i) {
      if (first + i >= end) break;
      int even[kWeights][4], odd[kWeights][4];  // codes of the rows 0 2 4 6 and 1 3 5 7 of each word
      [[unroll]] for (uint m = 0; m < kWeights; ++m)
        [[unroll]] for (uint w = 0; w < 4; ++w) {
          even[m][w] = even_codes(code[i][m][w]);
          odd[m][w] = odd_codes(code[i][m][w]);
        }
      vec2 scale[kWeights];
      [[unroll]] for (uint m = 0; m < kWeights; ++m)
        scale[m] = scale_and_zero(scales_at[i][m], zeros_at[i][m], group_in_run(first, i));
      [[unroll]] for (uint r = 0; r < kRows; ++r) {
        const uint64_t at = uint64_t(x_prepared) + min(r, rows - 1) * row_bytes + uint64_t(first + i) * 80;
        const uvec4 tail = Quad(at + 64).of;
        int high[kWeights], low[kWeights];
        [[unroll]] for (uint m = 0; m < kWeights; ++m) high[m] = low[m] = 0;
        [[unroll]] for (uint w = 0; w < 4; ++w) {
          const uvec4 plane = Quad(at + w * 16).of;
          [[unroll]] for (uint m = 0; m < kWeights; ++m) {
            high[m] = dot4(even[m][w], int(plane.x), high[m], 0);
            high[m] = dot4(odd[m][w], int(plane.y), high[m], 0);
            low[m] = dot4(even[m][w], int(plane.z), low[m], 0);
            low[m] = dot4(odd[m][w], int(plane.w), low[m], 0);
          }
        }
        [[unroll]] for (uint m = 0; m < kWeights; ++m) {
          const float whole = fma(-scale[m].y, uintBitsToFloat(tail.y), float((high[m] << 8) + low[m]));
          sum[r][m] = fma(scale[m].x * uintBitsToFloat(tail.x), whole, sum[r][m]);
        }
      }
    }
  }

  // share the slices' sums
  if (kSlices > 1) {
    [[unroll]] for (uint r = 0; r < kRows; ++r)
      [[unroll]] for (uint m = 0; m < kWeights; ++m)
        parts[((slice * kRows + r) * kWeights + m) * kAcross + lane] = sum[r][m];
    barrier();
  }
  // add them up and store, a row a subgroup
  [[unroll]] for (uint r = 0; r < kRows; ++r) {
    if (slice != r % kSlices) continue;
    float all[kWeights];
    [[unroll]] for (uint m = 0; m < kWeights; ++m) {
      all[m] = kSlices > 1 ? parts[(r * kWeights + m) * kAcross + lane] : sum[r][m];
      for (uint s = 1; s < kSlices; ++s) all[m] += parts[((s * kRows + r) * kWeights + m) * kAcross + lane];
    }
    if (r >= rows || first_column >= width) continue;
#ifdef GATED
    store_gated(r, first_column, all);
#else
    store(r, first_column, all[0]);
#endif
  }
#ifdef GATED
  if (kPlanes != 0) store_all_planes(rows);
#endif
}
