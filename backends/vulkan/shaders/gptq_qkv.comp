#version 460
// From x to the cache, for 1 to 8 rows: products of one x with three weights, as lean.glsl has them, whose columns are
// heads. Heads of queries are rotated and stored, those of keys rotated and appended, those of values appended
// as kv_append.comp does it. Saves three dispatches and a barrier. With NORMED x is the result of an rms_norm, which
// is made here as well (lean.glsl).
// Grid: (workgroups of queries, of keys, of values, 1). A workgroup has whole heads; where a head is no multiple of a
// subgroup, its last lanes are idle. Bottleneck: the memory that the weights stream from, each word once.
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#ifdef NORMED
#define PLANED
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#endif
#define CACHE_CONSTANTS 10
#include "common.glsl"
#include "dot.glsl"
#include "cache.glsl"
#include "round.glsl"
#include "planes.glsl"

layout(constant_id = 3) const uint kRows = 1;  // of x

layout(push_constant) uniform Push {
  Words q_codes, k_codes, v_codes;  // pack.h
  Floats q_bias, k_bias, v_bias;    // (width)
#ifdef NORMED
  Floats x;  // (R, depth)
#else
  Words x_prepared;  // of x_to_i8.comp
#endif
  Step step;
  WordResults keys;
  WordResults values;
  FloatResults q_rotated;  // (R, heads, d)
  uint blocks_per_group;
  uint blocks;
  uint heads;
  uint kv_heads;
  float rope_scale;
  uint has_bias;  // bits 0, 1 and 2: of queries, keys and values
#ifdef NORMED
  Floats norm_weight;  // (depth)
  Words x_order;       // (depth)
#endif
};

#include "groups.glsl"

// The part of the workgroup: 0 queries, 1 keys, 2 values.
uint part;
uint width;

uint64_t codes_of(uint m) {
  return part == 0 ? uint64_t(q_codes) : part == 1 ? uint64_t(k_codes) : uint64_t(v_codes);
}
// Behind the codes and their padding.
uint64_t scales_of(uint m) { return codes_of(m) + (blocks * (width * 16) + 255 & ~255u); }

const uint kWeights = 1, kMinAcross = kHeadDim;
#include "lean.glsl"

const uint kHeadsAcross = kHeadDim < kLanes ? kLanes / kHeadDim : 1;  // heads of a workgroup
const uint kColumnsAcross = kHeadsAcross * kHeadDim;
const uint kValues = kRows * kColumnsAcross;
const bool kRopeIsScaled = true;
#include "append.glsl"

float bias_of(uint column) {
  if ((has_bias >> part & 1) == 0) return 0;
  return part == 0 ? q_bias.at[column] : part == 1 ? k_bias.at[column] : v_bias.at[column];
}

// Element `i` of the workgroup's columns in `value`, rotated. A row's columns begin at `first`.
float rotated_value(uint first, uint i, uint row) {
  const uint in_head = i % kHeadDim, low = first + i - in_head + in_head % (kHeadDim / 2);
  return rotated(vec2(value[low], value[low + kHeadDim / 2]), row, in_head);
}

// Stores the heads of `value` from `first_head` on in a cache, a word an invocation.
void store_heads(WordResults to, uint first_head, uint rows) {
  const uint in_row = kHeadsAcross * kHeadWords;
  for (uint n = gl_LocalInvocationID.x; n < rows * in_row; n += gl_WorkGroupSize.x) {
    const uint row = n / in_row, h = n % in_row / kHeadWords, w = n % kHeadWords;
    if (first_head + h >= kv_heads) continue;
    const Place place = place_of(part == 1, first_head + h, row);
    const uint first = row * kColumnsAcross + h * kHeadDim;
    float head_max = 0;
    if (kElements == 4)
      for (uint i = 0; i < kHeadDim; ++i) head_max = with_size(head_max, value[first + i]);
    store_word(to, place, w, first, head_max);
    if (kElements == 4 && w == 0) store_scale(to, place, head_max);
  }
}

void main() {
  const uint rows = step.rows;
  if (rows == 0) return;
  // the workgroup's part and its columns
  const uint q_groups = (heads + kHeadsAcross - 1) / kHeadsAcross;
  const uint kv_groups = (kv_heads + kHeadsAcross - 1) / kHeadsAcross;
  uint group = gl_WorkGroupID.x;
  part = group < q_groups ? 0 : group < q_groups + kv_groups ? 1 : 2;
  group -= part == 0 ? 0 : part == 1 ? q_groups : q_groups + kv_groups;
  width = (part == 0 ? heads : kv_heads) * kHeadDim;
  const uint slice = slice_of_subgroup(), lane = lane_of_slice();
  const uint column = group * kColumnsAcross + lane;
  const bool is_used = lane < kColumnsAcross && column < width;

  make_planes(rows);
  float sum[kRows][kWeights];
  sum_share(slice, min(column, width - 1), rows, sum);
  share_sums(slice, lane, 0, sum);
  [[unroll]] for (uint r = 0; r < kRows; ++r)
    if (is_row_of(slice, r) && is_used)
      value[r * kColumnsAcross + lane] = product_of(r, 0, lane, sum[r][0]) + bias_of(column);
  barrier();

  // rotate
  if (part != 2)
    [[unroll]] for (uint r = 0; r < kRows; ++r)
      if (is_row_of(slice, r) && r < rows && is_used)
        sum[r][0] = rotated_value(r * kColumnsAcross, lane, r);

  // store
  if (part == 0) {
    [[unroll]] for (uint r = 0; r < kRows; ++r)
      if (is_row_of(slice, r) && r < rows && is_used) q_rotated.at[r * width + column] = sum[r][0];
    return;
  }
  if (part == 1) {
    barrier();
    [[unroll]] for (uint r = 0; r < kRows; ++r)
      if (is_row_of(slice, r) && r < rows && is_used) value[r * kColumnsAcross + lane] = sum[r][0];
    barrier();
  }
  store_heads(part == 1 ? keys : values, group * kHeadsAcross, rows);
}
