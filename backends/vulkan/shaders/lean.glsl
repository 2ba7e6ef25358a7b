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
// With SPLIT several workgroups share the sum of a column; the last of them adds up (last.glsl).
//
// With STAGED, for more rows, a lane has two columns of one weight, kAcross apart. Each subgroup brings the planes of
// its next blocks to shared memory and all its lanes read them there: the registers that hold x are the lanes' own, and
// two columns make it half the reads.
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
const uint kAcross = kGroups * kLanes;  // columns of a workgroup, or half of them

#ifdef SPLIT
layout(constant_id = 11) const uint kSplits = 1;  // workgroups that share the sum of a column
#else
const uint kSplits = 1;
#endif
const uint kAllSlices = kSplits * kSlices;

layout(buffer_reference, std430, buffer_reference_align = 16) restrict readonly buffer Quad { uvec4 of; };

#ifdef SPLIT
// Rows whose sums the slices share at a time: a sum an invocation where there are as many.
const uint kRowsShared = kSlices / kWeights < kRows ? kSlices / kWeights : kRows;
#else
// Of two weights few: what a workgroup shares limits how many workgroups there are.
const uint kRowsShared = kWeights > 1 && kRows > 4 ? 4 : kRows;
#endif
const uint kItems = kRowsShared * kWeights;  // sums of an invocation that it shares at a time

#ifdef STAGED
const uint kStagedQuads = kRows * kBlocksAhead * 5;  // of a subgroup: (rows, blocks, quads of planes.glsl)
const uint kQuadsFetched = (kStagedQuads + kLanes - 1) / kLanes;
const uint kItemQuads = (kItems + 3) / 4, kPartQuads = kItemQuads * kAcross;
// Planes of x; behind the last block sums: (slices, kItemQuads, lanes).
shared uvec4 staged[kSlices * (kStagedQuads > kPartQuads ? kStagedQuads : kPartQuads)];
#else
shared float parts[kSlices > 1 ? kSlices * kItems * kAcross : 1];  // (slices, items, lanes)
#endif

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
#elif defined(STAGED)
void make_planes(uint rows) {}
// A lane's share of the planes of a run of blocks, and where those of the first run lie.
struct Fetched {
  uvec4 quad[kQuadsFetched];
};
struct Places {
  uint of[kQuadsFetched];  // bytes
};
void find_x(uint rows, out Places places) {
  const uint in_row = kBlocksAhead * 5;  // rows behind the last are it again
  [[unroll]] for (uint i = 0; i < kQuadsFetched; ++i) {
    const uint at = i * kLanes + gl_SubgroupInvocationID;
    places.of[i] = min(at / in_row, rows - 1) * (blocks * 80) + at % in_row * 16;
  }
}
// What lies behind a row's last block is not used.
void fetch_x(uint first, uint rows, Places places, out Fetched x) {
  const uint last = rows * (blocks * 80) - 16;
  [[unroll]] for (uint i = 0; i < kQuadsFetched; ++i)
    x.quad[i] = Quad(uint64_t(x_prepared) + min(places.of[i] + first * 80, last)).of;
}
void stage_x(Fetched x) {
  subgroupBarrier();  // the run before this one has been multiplied
  [[unroll]] for (uint i = 0; i < kQuadsFetched; ++i) {
    const uint at = i * kLanes + gl_SubgroupInvocationID;
    if (at < kStagedQuads) staged[gl_SubgroupID * kStagedQuads + at] = x.quad[i];
  }
  subgroupBarrier();
}
uvec4 x_quad(uint row, uint block, uint q) {
  return staged[gl_SubgroupID * kStagedQuads + (row * kBlocksAhead + block % kBlocksAhead) * 5 + q];
}
#else
void make_planes(uint rows) {}
uvec4 x_quad(uint row, uint block, uint q) {
  return Quad(uint64_t(x_prepared) + row * (uint64_t(blocks) * 80) + uint64_t(block) * 80 + q * 16).of;
}
#endif

#ifdef STAGED
uint row_of_x(uint r, uint rows) { return r; }
uint column_of(uint m, uint first) { return min(first + m * kAcross, width - 1); }
#else
uint column_of(uint m, uint first) { return first; }
uint row_of_x(uint r, uint rows) { return min(r, rows - 1); }
struct Fetched {
  uint nothing;
};
struct Places {
  uint nothing;
};
void find_x(uint rows, out Places places) { places.nothing = 0; }
void fetch_x(uint first, uint rows, Places places, out Fetched x) { x.nothing = 0; }
void stage_x(Fetched x) {}
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

// The sums over a slice's share of the blocks; `slice` is of kAllSlices.
void sum_share(uint slice, uint first_column, uint rows, out float sum[kRows][kWeights]) {
  const uint runs = (blocks + kBlocksAhead - 1) / kBlocksAhead;
  const uint share = (runs + kAllSlices - 1) / kAllSlices * kBlocksAhead;
  const uint begin = min(slice * share, blocks), end = min(begin + share, blocks);
  [[unroll]] for (uint r = 0; r < kRows; ++r)
    [[unroll]] for (uint m = 0; m < kWeights; ++m) sum[r][m] = 0;

  Places places;
  find_x(rows, places);
  for (uint first = begin; first < end; first += kBlocksAhead) {
    // load
    Fetched x;
    fetch_x(first, rows, places, x);
    uvec4 code[kBlocksAhead][kWeights];
    uint scales_at[kBlocksAhead][kWeights], zeros_at[kBlocksAhead][kWeights];
    [[unroll]] for (uint i = 0; i < kBlocksAhead; ++i) {
      const uint block = min(first + i, end - 1);
      [[unroll]] for (uint m = 0; m < kWeights; ++m) {
        const uint column = column_of(m, first_column);
        code[i][m] = Quad(codes_of(m) + uint64_t(block) * (width * 16) + column * 16).of;
        scales_at[i][m] = is_first_of(i, 2) ? scale_word(m, group_of(block), column) : scales_at[i > 0 ? i - 1 : 0][m];
        zeros_at[i][m] = is_first_of(i, 8) ? zero_word(m, group_of(block), column) : zeros_at[i > 0 ? i - 1 : 0][m];
      }
    }
    stage_x(x);
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
        const uint row = row_of_x(r, rows);
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

// Shares the slices' sums of kRowsShared rows from `first` on.
void share_sums(uint slice, uint lane, uint first, float sum[kRows][kWeights]) {
  if (kSlices == 1) return;
#ifdef STAGED
  [[unroll]] for (uint q = 0; q < kItemQuads; ++q) {
    vec4 four = vec4(0);
    [[unroll]] for (uint e = 0; e < 4; ++e)
      if (4 * q + e < kItems) four[e] = sum[first + (4 * q + e) / kWeights][(4 * q + e) % kWeights];
    staged[(slice * kItemQuads + q) * kAcross + lane] = floatBitsToUint(four);
  }
#else
  [[unroll]] for (uint i = 0; i < kItems; ++i)
    parts[(slice * kItems + i) * kAcross + lane] = sum[first + i / kWeights][i % kWeights];
#endif
  barrier();
}
bool is_row_of(uint slice, uint r) { return slice == r % kSlices; }

float shared_sum(uint slice, uint item, uint lane) {
#ifdef STAGED
  return uintBitsToFloat(staged[(slice * kItemQuads + item / 4) * kAcross + lane][item % 4]);
#else
  return parts[(slice * kItems + item) * kAcross + lane];
#endif
}
float sum_of_slices(uint item, uint lane) {
  float all = shared_sum(0, item, lane);
  for (uint s = 1; s < kSlices; ++s) all += shared_sum(s, item, lane);
  return all;
}

// A row's product: the sum of its slices, of which `own` is this one's.
float product_of(uint r, uint m, uint lane, float own) {
  const float all = kSlices > 1 ? sum_of_slices(r % kRowsShared * kWeights + m, lane) : own;
  return all * norm_factor(r);
}
