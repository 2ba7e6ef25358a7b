#version 460
// y = a + b * scale
// Grid: (width / group, rows), an invocation for each element. Bottleneck: latency, then bandwidth.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x_id = 0) in;

layout(push_constant) uniform Push {
  Floats a;  // (R, width)
  Floats b;  // (R, width)
  FloatResults y;  // (R, width)
  Step step;
  uint width;
  uint over_wanted;
  float scale;
};

void main() {
  const uint row = gl_WorkGroupID.y, i = gl_GlobalInvocationID.x;
  if (row >= row_count(step, over_wanted) || i >= width) return;
  y.at[row * width + i] = a.at[row * width + i] + b.at[row * width + i] * scale;
}
