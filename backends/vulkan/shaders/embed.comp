#version 460
// y[r] = table[token[r]] * scale
// Grid: (width / group, rows), an invocation for each element. Bottleneck: latency, a row is a few KiB.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 2) const uint kType = 16;  // 16: f16, 17: bf16, 32: f32

layout(push_constant) uniform Push {
  Words table;  // (V, width), rows as they were stored
  FloatResults y;     // (R, width)
  Step step;
  uint width;
  float scale;
};

void main() {
  const uint row = gl_WorkGroupID.y, i = gl_GlobalInvocationID.x;
  if (row >= step.rows || i >= width) return;
  const uint token = step.token.at[row];
  float value;
  if (kType == 32) {
    value = uintBitsToFloat(table.at[token * width + i]);
  } else {
    const uint element = token * width + i;
    const uint word = table.at[element / 2];
    const uint bits = (element & 1) == 0 ? word & 0xffffu : word >> 16;
    value = kType == 16 ? unpackHalf2x16(bits).x : uintBitsToFloat(bits << 16);
  }
  y.at[row * width + i] = value * scale;
}
