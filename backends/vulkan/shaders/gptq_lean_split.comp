#version 460
// y = x . W + bias for codes of 4 bits as lean.glsl has it, where the columns alone are too few workgroups for the
// device: several share the sum of a column, and the last of them adds up, in their order. With STAGED for 9 to 32
// rows, else for 1 to 8.
// Grid: (columns / workgroup's, splits). Bottleneck: the memory that W streams from, each word once; dot products from
// some 12 rows on.
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#define SPLIT
#include "common.glsl"
#include "dot.glsl"
#include "last.glsl"
#include "weights.glsl"

const uint kWeights = kColumns, kMinAcross = 1;

uint64_t codes_of(uint m) { return uint64_t(codes); }
uint64_t scales_of(uint m) { return uint64_t(scales); }
#include "lean.glsl"

// An invocation adds up one sum of each run of kRowsShared rows: that of row slice / kWeights and of its column
// slice % kWeights.
const uint kTotals = kRows / kRowsShared;

// The sums of this workgroup's slices.
void add_slices(uint slice, uint lane, float sum[kRows][kWeights], out float total[kTotals]) {
  [[unroll]] for (uint t = 0; t < kTotals; ++t) {
    if (kSlices > 1 && (t > 0 || kWeights > 1)) barrier();  // all have read what lay there
    share_sums(slice, lane, t * kRowsShared, sum);
    total[t] = kSlices == 1 ? sum[t][0] : slice < kItems ? sum_of_slices(slice, lane) : 0;
  }
}

// Adds the sums of all workgroups of these columns. False but in the last of them.
bool add_splits(uint slice, uint lane, inout float total[kTotals]) {
  if (kSplits == 1) return true;
  const uint in_part = kRows * kWeights * kAcross;
  const uint first = gl_WorkGroupID.x * kSplits * in_part + slice * kAcross + lane;
  [[unroll]] for (uint t = 0; t < kTotals; ++t)
    if (slice < kItems) partials.at[first + gl_WorkGroupID.y * in_part + t * (kItems * kAcross)] = total[t];
  if (!is_last(counters, gl_WorkGroupID.x, kSplits)) return false;
  [[unroll]] for (uint t = 0; t < kTotals; ++t) {
    total[t] = 0;
    if (slice < kItems)
      for (uint s = 0; s < kSplits; ++s) total[t] += partials.at[first + s * in_part + t * (kItems * kAcross)];
  }
  return true;
}

void main() {
  const uint rows = row_count(step, over_wanted);
  if (rows == 0) return;
  const uint slice = gl_SubgroupID, lane = gl_SubgroupInvocationID;
  const uint first_column = gl_WorkGroupID.x * (kWeights * kAcross) + lane;
  float sum[kRows][kWeights];
  sum_share(gl_WorkGroupID.y * kSlices + slice, min(first_column, width - 1), rows, sum);
  float total[kTotals];
  add_slices(slice, lane, sum, total);
  if (!add_splits(slice, lane, total)) return;
  const uint column = first_column + slice % kWeights * kAcross;
  [[unroll]] for (uint t = 0; t < kTotals; ++t) {
    const uint row = t * kRowsShared + slice / kWeights;
    if (slice < kItems && row < rows && column < width) store(row, column, total[t]);
  }
}
