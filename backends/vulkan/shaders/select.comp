#version 460
// y[w] = x[wanted[w]]
// Grid: (width / group, wanted rows), an invocation for each element. Bottleneck: latency.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x_id = 0) in;

layout(push_constant) uniform Push {
  Floats x;  // (R, width)
  FloatResults y;  // (W, width)
  Step step;
  uint width;
};

void main() {
  const uint row = gl_WorkGroupID.y, i = gl_GlobalInvocationID.x;
  if (row >= step.wanted_rows || i >= width) return;
  y.at[row * width + i] = x.at[step.wanted.at[row] * width + i];
}
