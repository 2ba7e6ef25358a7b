#version 460
// y[r][i] = o[order[i]] / l: joins the splits of attention.comp by scaling them to their common maximum.
// Rows of attention_tile.comp have one split.
// Grid: (heads * d / group, rows), an invocation for each element. Bottleneck: latency.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "round.glsl"
#include "planes.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 2) const uint kOrdered = 0;
layout(constant_id = 3) const uint kAtOnce = 1;  // splits that are loaded before the first is used; 1: there is one
layout(constant_id = 4) const uint kPlanes = 0;  // y is stored as planes too, for the product that reads it
layout(constant_id = 5) const uint kSpan = 256;  // attention.comp's
layout(constant_id = 6) const uint kHeadDim = 128;
#include "splits.glsl"

layout(push_constant) uniform Push {
  Floats tiles;    // (prompt rows, heads, 2 + d)  maximum, sum, output
  Floats singles;  // (other rows, heads, splits, 2 + d)
  Words order;     // (heads * d)
  FloatResults y;        // (R, heads * d)
  Step step;
  WordResults planes;  // (R, width / 32, kPlaneWords)
  uint width;
  uint splits;
  uint has_tiles;      // else all rows are in `singles`
  uint after_prompts;  // the rows of prompts are stored already
  uint window;         // attention.comp's
};

shared float results[kPlanes != 0 ? gl_WorkGroupSize.x / 32 * 33 : 1];

void main() {
  const uint i = gl_GlobalInvocationID.x;
  const uint row = gl_WorkGroupID.y + (after_prompts != 0 ? step.prompt_rows : 0);
  if (row >= step.rows || i >= width) return;
  const uint prompt_rows = has_tiles != 0 ? step.prompt_rows : 0;
  const bool in_tile = row < prompt_rows;
  Floats partial = in_tile ? tiles : singles;
  const uint index = in_tile ? row : row - prompt_rows;
  const uint parts =
      kAtOnce == 1 || in_tile ? 1 : used_splits(spans_of(step.position.at[row], window, splits));
  const uint source = kOrdered != 0 ? order.at[i] : i;
  const uint stride = 2 + kHeadDim, of_head = (in_tile ? 1 : splits) * stride;
  const uint from = (index * (width / kHeadDim) + source / kHeadDim) * of_head;
  // sums and outputs of the splits, scaled down to the maximum so far
  float maximum = NEGATIVE_INFINITY, sum = 0, output_sum = 0;
  for (uint first = 0; first < parts; first += kAtOnce) {
    vec3 part[kAtOnce];  // maximum, sum, output
    [[unroll]] for (uint n = 0; n < kAtOnce; ++n) {
      const uint at = from + min(first + n, parts - 1) * stride;
      part[n] = vec3(partial.at[at], partial.at[at + 1], partial.at[at + 2 + source % kHeadDim]);
    }
    float higher = maximum;
    [[unroll]] for (uint n = 0; n < kAtOnce; ++n) higher = max(higher, part[n].x);
    const float keep = exp(maximum - higher);
    maximum = higher;
    sum *= keep;
    output_sum *= keep;
    [[unroll]] for (uint n = 0; n < kAtOnce; ++n) {
      const float weight = first + n < parts ? exp(part[n].x - maximum) : 0;
      sum = fma(part[n].y, weight, sum);
      output_sum = fma(part[n].z, weight, output_sum);
    }
  }
  const float result = output_sum / sum;
  y.at[row * width + i] = result;

  // a block of planes a lane
  if (kPlanes == 0) return;
  const uint lane = gl_LocalInvocationID.x;
  results[lane + lane / 32] = result;
  barrier();
  if (lane >= gl_WorkGroupSize.x / 32) return;
  float values[32];
  [[unroll]] for (uint k = 0; k < 32; ++k) values[k] = results[lane * 33 + k];
  const uint block = gl_WorkGroupID.x * (gl_WorkGroupSize.x / 32) + lane;
  store_planes(planes, (row * (width / 32) + block) * kPlaneWords, values);
}
