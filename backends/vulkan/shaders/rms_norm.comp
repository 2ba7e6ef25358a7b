#version 460
// n = x / sqrt(mean(x^2) + epsilon); y[i] = n[order[i]] * weight[order[i]]
// Grid: (1, rows), a workgroup for each row. Bottleneck: latency, one row being some 20 KiB.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 2) const uint kOrdered = 0;

layout(push_constant) uniform Push {
  Floats x;       // (R, width)
  Floats weight;  // (width)
  Words order;    // (width)
  Floats y;       // (R, width)
  Step step;
  uint width;
  uint over_wanted;
  float epsilon;
};

shared float sums[gl_WorkGroupSize.x];

// The sum over the workgroup, always in the same order: first those 32 apart.
float workgroup_sum(float part, uint lane) {
  sums[lane] = part;
  barrier();
  if (gl_WorkGroupSize.x > 32) {
    part = 0;
    if (lane < 32)
      for (uint i = lane; i < gl_WorkGroupSize.x; i += 32) part += sums[i];
    barrier();
    if (lane < 32) sums[lane] = part;
    barrier();
  }
  float sum = 0;
  for (uint i = 0; i < min(gl_WorkGroupSize.x, 32); ++i) sum += sums[i];
  return sum;
}

void main() {
  const uint row = gl_WorkGroupID.y, lane = gl_LocalInvocationID.x;
  if (row >= row_count(step, over_wanted)) return;
  const uint first = row * width;
  // sum of squares
  float sum = 0;
  for (uint i = lane; i < width; i += gl_WorkGroupSize.x) {
    const float value = x.at[first + i];
    sum += value * value;
  }
  const float root = sqrt(workgroup_sum(sum, lane) / float(width) + epsilon);

  // normalise. x / root here and x * (1 / root) in CUDA round differently, both within the law
  for (uint i = lane; i < width; i += gl_WorkGroupSize.x) {
    const uint j = kOrdered != 0 ? order.at[i] : i;
    y.at[first + i] = x.at[first + j] / root * weight.at[j];
  }
}
