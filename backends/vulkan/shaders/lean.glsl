// Products of 1 to 8 rows of x with codes of 4 bits, in integers: a code times a plane of planes.glsl, four at a
// time. The sums of a block are exact, so its error is that of x alone, 2^-15 of the block's maximum at most.
// Per block of 32 rows, with q the whole numbers of x:
//
//   sum over k of x[k] * scale * (code[k] - zero)  =  scale * x_scale * (sum of q[k] * code[k] - zero * sum of q)
//
// A lane has a column of each of kWeights weights of one shape. Each slice of a workgroup takes a share of the
// blocks for the same columns; their sums are added in the order of the slices. A slice is kGroups subgroups.
// What depends on the block alone is the same for a subgroup, so x comes by scalar loads.
//
// With PLANED each workgroup makes the planes of x in shared memory, of x in another order where kOrdered. Saves the
// kernel that would make them; costs each workgroup two loads from the cache for each element of x. With NORMED too
// x is the result of an rms_norm: the planes are of x * norm_weight, and the sums are divided by the root,
// rms_norm.comp's. Costs three.
//
// REQUIRES: kRows, kWeights, kMinAcross (columns that a workgroup has at least); codes_of() and scales_of(), the
// addresses of a weight; width, blocks and x_prepared, with PLANED x and x_order, with NORMED norm_weight; groups.glsl
// and dot.glsl, with PLANED planes.glsl.
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint kSlices = 8;
layout(constant_id = 9) const uint kBlocksAhead = 4;  // that are loaded before the first is used
layout(constant_id = 10) const uint kLanes = 32;      // of a subgroup

// Subgroups side by side.
const uint kGroups = (kMinAcross + kLanes - 1) / kLanes;
const uint kAcross = kGroups * kLanes;  // columns of a workgroup

layout(buffer_reference, std430, buffer_reference_align = 16) restrict readonly buffer Quad { uvec4 of; };

shared float parts[kSlices > 1 ? kSlices * kRows * kWeights * kAcross : 1];

#ifdef PLANED
layout(constant_id = 14) const uint kBlocks = 1;  // of x
layout(constant_id = 15) const uint kOrdered = 0;
const uint kSubgroups = kSlices * kGroups;
shared uvec4 x_planes[kRows * kBlocks * 5];  // planes.glsl's
#endif

#ifdef NORMED
layout(constant_id = 16) const uint kEpsilon = 0;  // the bits of the norm's
shared float squares[kRows * kSubgroups];          // sums of a subgroup's

float norm_weight_of(uint i) { return norm_weight.at[i]; }
void share_square(uint r, float square) {
  square = subgroupAdd(square);
  if (subgroupElect()) squares[r * kSubgroups + gl_SubgroupID] = square;
}
// 1 / sqrt(mean of a row's squares + epsilon)
float norm_factor(uint r) {
  float sum = 0;
  for (uint s = 0; s < kSubgroups; ++s) sum += squares[r * kSubgroups + s];
  return 1 / sqrt(sum / float(kBlocks * 32) + uintBitsToFloat(kEpsilon));
}
#else
float norm_weight_of(uint i) { return 1; }
void share_square(uint r, float square) {}
float norm_factor(uint r) { return 1; }
#endif

#ifdef PLANED
// Makes the planes of all rows. Four lanes make a block, each of eight rows.
void make_planes(uint rows) {
  const uint thread = gl_SubgroupID * kLanes + gl_SubgroupInvocationID;
  [[unroll]] for (uint r = 0; r < kRows; ++r) {
    const uint row = min(r, rows - 1) * kBlocks * 32;
    float square = 0;
    for (uint n = thread; n < kBlocks * 4; n += kSubgroups * kLanes) {
      // load
      float value[8], weight[8];
      [[unroll]] for (uint i = 0; i < 8; ++i) {
        const uint at = kOrdered != 0 ? x_order.at[n * 8 + i] : n * 8 + i;
        value[i] = x.at[row + at];
        weight[i] = norm_weight_of(at);
      }
      // scale by the weights, and find the block's maximum
      float maximum = 0;
      [[unroll]] for (uint i = 0; i < 8; ++i) {
        square = fma(value[i], value[i], square);
        value[i] *= weight[i];
        maximum = with_size(maximum, value[i]);
      }
      maximum = max(maximum, subgroupShuffleXor(maximum, 1));
      maximum = max(maximum, subgroupShuffleXor(maximum, 2));
      // quantise and share
      const PlaneScale scale = plane_scale_of(maximum);
      int sum = 0;
      const uint to = (r * kBlocks + n / 4) * 5;
      x_planes[to + n % 4] = plane_words(value, scale.inverse, sum);
      sum += subgroupShuffleXor(sum, 1);
      sum += subgroupShuffleXor(sum, 2);
      if (n % 4 == 0) x_planes[to + 4] = uvec4(plane_tail(scale, maximum, sum), 0, 0);
    }
    share_square(r, square);
  }
  barrier();
}
uvec4 x_quad(uint row, uint block, uint q) { return x_planes[(row * kBlocks + block) * 5 + q]; }
#else
void make_planes(uint rows) {}
uvec4 x_quad(uint row, uint block, uint q) {
  return Quad(uint64_t(x_prepared) + row * (uint64_t(blocks) * 80) + uint64_t(block) * 80 + q * 16).of;
}
#endif

uint slice_of_subgroup() { return gl_SubgroupID / kGroups; }
uint lane_of_slice() { return gl_SubgroupID % kGroups * kLanes + gl_SubgroupInvocationID; }

// The words that have a group's scale and zero; paired scales and packed zeros share them with other groups.
uint scale_word(uint m, uint group, uint column) {
  const uint bytes = kScales == 1 ? 8 : 4;
  return Word(scales_of(m) + uint64_t(scale_row(group)) * width * 4 + column * bytes).of;
}
uint zero_word(uint m, uint group, uint column) {
  if (kPackedZeros) return Word(scales_of(m) + uint64_t(zero_row(group)) * width * 4 + column * 4).of;
  return kScales == 1 ? Word(scales_of(m) + uint64_t(2 * group) * width * 4 + column * 8 + 4).of : 0;
}
vec2 scale_and_zero(uint scale_word, uint zero_word, uint group) {
  if (kPairedScales) return paired_scale(scale_word, zero_word, group);
  return kScales == 1 ? uintBitsToFloat(uvec2(scale_word, zero_word)) : unpackHalf2x16(scale_word);
}

// Blocks are loaded in runs that begin at multiples of kBlocksAhead, a power of two. Where a group's blocks
// are a power of two as well, it is known which blocks of a run share a word of scales or of zeros.
const uint kSharingGroups = kPackedZeros ? 8 : 2;  // that share all their words
bool shares_words() { return kPairedScales && kGroupBlocks != 0 && (kGroupBlocks & (kGroupBlocks - 1)) == 0; }
bool is_first_of(uint i, uint groups) {
  return !shares_words() || i % min(groups * kGroupBlocks, kBlocksAhead) == 0;
}
uint group_in_run(uint first, uint i) {
  return shares_words() && kBlocksAhead >= kSharingGroups * kGroupBlocks ? i / kGroupBlocks : group_of(first + i);
}

// The sums over a slice's share of the blocks.
void sum_share(uint slice, uint column, uint rows, out float sum[kRows][kWeights]) {
  const uint runs = (blocks + kBlocksAhead - 1) / kBlocksAhead;
  const uint share = (runs + kSlices - 1) / kSlices * kBlocksAhead;
  const uint begin = min(slice * share, blocks), end = min(begin + share, blocks);
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
        const uint row = min(r, rows - 1);
        const uvec4 tail = x_quad(row, first + i, 4);
        int high[kWeights], low[kWeights];
        [[unroll]] for (uint m = 0; m < kWeights; ++m) high[m] = low[m] = 0;
        [[unroll]] for (uint w = 0; w < 4; ++w) {
          const uvec4 plane = x_quad(row, first + i, w);
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
}

// Shares the slices' sums, so that each row is one slice's to add up.
void share_sums(uint slice, uint lane, float sum[kRows][kWeights]) {
  if (kSlices == 1) return;
  [[unroll]] for (uint r = 0; r < kRows; ++r)
    [[unroll]] for (uint m = 0; m < kWeights; ++m)
      parts[((slice * kRows + r) * kWeights + m) * kAcross + lane] = sum[r][m];
  barrier();
}
bool is_row_of(uint slice, uint r) { return slice == r % kSlices; }

// A row's product: the sum of its slices, of which `own` is this one's.
float product_of(uint r, uint m, uint lane, float own) {
  float all = kSlices > 1 ? parts[(r * kWeights + m) * kAcross + lane] : own;
  for (uint s = 1; s < kSlices; ++s) all += parts[((s * kRows + r) * kWeights + m) * kAcross + lane];
  return all * norm_factor(r);
}
