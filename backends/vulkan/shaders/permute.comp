#version 460
// y[r][i] = x[r][order[i]]
// Grid: (width / group, rows), an invocation for each element. Bottleneck: latency, then the gather.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x_id = 0) in;

layout(push_constant) uniform Push {
  Floats x;     // (R, width)
  Words order;  // (width)
  FloatResults y;     // (R, width)
  Step step;
  uint width;
  uint over_wanted;
};

void main() {
  const uint row = gl_WorkGroupID.y, i = gl_GlobalInvocationID.x;
  if (row >= row_count(step, over_wanted) || i >= width) return;
  y.at[row * width + i] = x.at[row * width + order.at[i]];
}
