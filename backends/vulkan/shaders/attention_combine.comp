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
layout(constant_id = 3) const uint kJoinAtOnce = 1;  // join.glsl
layout(constant_id = 4) const uint kPlanes = 0;  // y is stored as planes too, for the product that reads it
layout(constant_id = 5) const uint kSpan = 256;  // attention.comp's
layout(constant_id = 6) const uint kHeadDim = 128;
#include "splits.glsl"
const uint kJoinElements = 1, kJoinApart = 1;
#define PARTIALS Floats
#include "join.glsl"

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
      kJoinAtOnce == 1 || in_tile ? 1 : used_splits(spans_of(step.position.at[row], window, splits));
  const uint source = kOrdered != 0 ? order.at[i] : i;
  const uint of_head = (in_tile ? 1 : splits) * kPartial;
  const uint from = (index * (width / kHeadDim) + source / kHeadDim) * of_head;
  float joined[1];
  join(partial, from, parts, source % kHeadDim, joined);
  const float result = joined[0];
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
