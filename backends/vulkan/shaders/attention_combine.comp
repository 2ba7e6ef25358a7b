#version 460
// y[r][i] = o[order[i]] / l: joins the splits of attention.comp by scaling them to their common maximum.
// Rows of attention_tile.comp have one split.
// Grid: (heads * d / group, rows), an invocation for each element. Bottleneck: latency.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 2) const uint kOrdered = 0;

layout(push_constant) uniform Push {
  Floats tiles;    // (prompt rows, heads, 2 + d)  maximum, sum, output
  Floats singles;  // (other rows, heads, splits, 2 + d)
  Words order;     // (heads * d)
  Floats y;        // (R, heads * d)
  Step step;
  uint width;
  uint head_dim;
  uint splits;
  uint has_tiles;      // else all rows are in `singles`
  uint after_prompts;  // the rows of prompts are stored already
};

void main() {
  const uint i = gl_GlobalInvocationID.x;
  const uint row = gl_WorkGroupID.y + (after_prompts != 0 ? step.prompt_rows : 0);
  if (row >= step.rows || i >= width) return;
  const uint prompt_rows = has_tiles != 0 ? step.prompt_rows : 0;
  const bool in_tile = row < prompt_rows;
  Floats partial = in_tile ? tiles : singles;
  const uint index = in_tile ? row : row - prompt_rows, parts = in_tile ? 1 : splits;
  const uint source = kOrdered != 0 ? order.at[i] : i;
  const uint stride = 2 + head_dim;
  const uint from = (index * (width / head_dim) + source / head_dim) * parts * stride;
  // max over the splits
  float maximum = partial.at[from];  // the first split has the first key
  for (uint s = 1; s < parts; ++s) maximum = max(maximum, partial.at[from + s * stride]);

  // sums and outputs of the splits, scaled down to it
  float sum = 0, output_sum = 0;
  for (uint s = 0; s < parts; ++s) {
    const float keep = exp(partial.at[from + s * stride] - maximum);
    sum = fma(partial.at[from + s * stride + 1], keep, sum);
    output_sum = fma(partial.at[from + s * stride + 2 + source % head_dim], keep, output_sum);
  }
  y.at[row * width + i] = output_sum / sum;
}
