#version 460
// y[r][i] = o[order[i]] / l, the splits of attention.comp brought to their common maximum.
// Grid: (heads * d / group, rows), an invocation for each element. Bottleneck: latency.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 2) const uint kOrdered = 0;

layout(push_constant) uniform Push {
  Floats partial;  // (R, heads, splits, 2 + d)  maximum, sum, output
  Words order;     // (heads * d)
  Floats y;        // (R, heads * d)
  Step step;
  uint width;
  uint head_dim;
  uint splits;
};

void main() {
  const uint row = gl_WorkGroupID.y, i = gl_GlobalInvocationID.x;
  if (row >= step.rows || i >= width) return;
  const uint source = kOrdered != 0 ? order.at[i] : i;
  const uint stride = 2 + head_dim;
  const uint from = (row * (width / head_dim) + source / head_dim) * splits * stride;
  float maximum = partial.at[from];  // the first split has the first key
  for (uint s = 1; s < splits; ++s) maximum = max(maximum, partial.at[from + s * stride]);
  float sum = 0, output_sum = 0;
  for (uint s = 0; s < splits; ++s) {
    const float keep = exp(partial.at[from + s * stride] - maximum);
    sum = fma(partial.at[from + s * stride + 1], keep, sum);
    output_sum = fma(partial.at[from + s * stride + 2 + source % head_dim], keep, output_sum);
  }
  y.at[row * width + i] = output_sum / sum;
}
