#version 460
// y = x . W + bias for 1 to 8 rows of x and codes of 4 bits, as lean.glsl has it.
// Grid: (columns / workgroup's, 1). Bottleneck: the memory that W streams from, each word once.
// With GATED it is y = silu(x . W + bias) * (x . up + up_bias): both sums of a column in one invocation, and y
// is stored as planes too, for the product that reads it. Saves two dispatches and two barriers. With GATED_NORMED
// x is the result of an rms_norm, which is made here as well (lean.glsl). With PLANED x is what attention stored, in
// another order.
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#ifdef GATED_NORMED
#define GATED
#define NORMED
#define PLANED
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif
#ifdef PLANED
#extension GL_KHR_shader_subgroup_shuffle : require
#endif
#include "common.glsl"
#include "dot.glsl"
#if defined(GATED) || defined(PLANED)
#include "round.glsl"
#include "planes.glsl"
#endif
#ifdef GATED
layout(constant_id = 11) const uint kPlanes = 0;  // y is stored as planes too
#endif
#include "weights.glsl"

#ifdef GATED
const uint kWeights = 2;     // gate and up
const uint kMinAcross = 32;  // a workgroup's columns are whole blocks of planes

uint64_t codes_of(uint m) { return m == 1 ? uint64_t(up_codes) : uint64_t(codes); }
uint64_t scales_of(uint m) { return m == 1 ? uint64_t(up_scales) : uint64_t(scales); }
#else
const uint kWeights = 1, kMinAcross = 1;

uint64_t codes_of(uint m) { return uint64_t(codes); }
uint64_t scales_of(uint m) { return uint64_t(scales); }
#endif
#include "lean.glsl"

#ifdef GATED
const uint kRowGap = kAcross + kAcross / 32;
shared float results[kPlanes != 0 ? kRows * kRowGap : 1];

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
  const uint slice = slice_of_subgroup(), lane = lane_of_slice();
  const uint column = gl_WorkGroupID.x * kAcross + lane;
  make_planes(rows);
  float sum[kRows][kWeights];
  sum_share(slice, min(column, width - 1), rows, sum);
  [[unroll]] for (uint first = 0; first < kRows; first += kRowsShared) {
    if (kSlices > 1 && first > 0) barrier();  // all have read what lay there
    share_sums(slice, lane, first, sum);
    [[unroll]] for (uint r = first; r < first + kRowsShared; ++r) {
      if (!is_row_of(slice, r)) continue;
      float all[kWeights];
      [[unroll]] for (uint m = 0; m < kWeights; ++m) all[m] = product_of(r, m, lane, sum[r][m]);
      if (r >= rows || column >= width) continue;
#ifdef GATED
      store_gated(r, column, all);
#else
      store(r, column, all[0]);
#endif
    }
  }
#ifdef GATED
  if (kPlanes != 0) store_all_planes(rows);
#endif
}
