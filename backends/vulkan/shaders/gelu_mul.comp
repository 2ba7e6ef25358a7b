#version 460
// y = gate / (1 + exp(-z)) * up, z = 2 sqrt(2 / pi) (gate + 0.044715 gate^3)
// Grid: (width / group, rows), an invocation for each element. Bottleneck: latency, then bandwidth.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x_id = 0) in;

layout(push_constant) uniform Push {
  Floats gate;  // (R, width)
  Floats up;    // (R, width)
  FloatResults y;     // (R, width)
  Step step;
  uint width;
  uint over_wanted;
};

void main() {
  const uint row = gl_WorkGroupID.y, i = gl_GlobalInvocationID.x;
  if (row >= row_count(step, over_wanted) || i >= width) return;
  const float value = gate.at[row * width + i];
  const float z = 1.5957691216057308 * (value + 0.044715 * value * value * value);
  y.at[row * width + i] = value / (1 + exp(-z)) * up.at[row * width + i];
}
