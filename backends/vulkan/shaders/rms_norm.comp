#version 460
// For each run x of a row: m = x / sqrt(mean(x^2) + epsilon); y[i] = m[order[i]] * weight[order[i]]
// Grid: (runs, rows), a workgroup for each run. Bottleneck: latency, one row being some 20 KiB.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "round.glsl"
#include "planes.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 2) const uint kOrdered = 0;
layout(constant_id = 3) const uint kAtOnce = 1;  // elements that an invocation loads before it uses the first
layout(constant_id = 4) const uint kPlanes = 0;  // y is stored as planes too, for the products that read it
layout(constant_id = 5) const uint kWidth = 1;   // then

layout(push_constant) uniform Push {
  Floats x;       // (R, runs, width)
  Floats weight;  // (width)
  Words order;    // (width)
  FloatResults y;       // (R, runs, width)
  Step step;
  WordResults planes;  // (R, width / 32, kPlaneWords)
  uint width;
  uint over_wanted;
  float epsilon;
};

shared float sums[gl_WorkGroupSize.x];
// The row, a gap behind each block of 32, so that lanes which read a block each use different banks.
shared float whole[kPlanes != 0 ? kWidth + kWidth / 32 : 1];

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
  const uint first = (row * gl_NumWorkGroups.x + gl_WorkGroupID.x) * width;
  // sum of squares
  float sum = 0;
  const uint apart = gl_WorkGroupSize.x, stride = kAtOnce * apart;
  float value[kAtOnce];
  for (uint begin = lane; begin < width; begin += stride) {
    [[unroll]] for (uint n = 0; n < kAtOnce; ++n) value[n] = x.at[first + min(begin + n * apart, width - 1)];
    [[unroll]] for (uint n = 0; n < kAtOnce; ++n)
      if (begin + n * apart < width) sum += value[n] * value[n];
  }
  const float root = sqrt(workgroup_sum(sum, lane) / float(width) + epsilon);

  // normalise. x / root here and x * (1 / root) in CUDA round differently, both within the law
  for (uint begin = lane; begin < width; begin += stride) {
    uint source[kAtOnce];
    float scale[kAtOnce];
    [[unroll]] for (uint n = 0; n < kAtOnce; ++n) {
      const uint i = min(begin + n * apart, width - 1);
      source[n] = kOrdered != 0 ? order.at[i] : i;
    }
    [[unroll]] for (uint n = 0; n < kAtOnce; ++n) {
      value[n] = x.at[first + source[n]];
      scale[n] = weight.at[source[n]];
    }
    [[unroll]] for (uint n = 0; n < kAtOnce; ++n)
      if (begin + n * apart < width) {
        const uint i = begin + n * apart;
        const float result = value[n] / root * scale[n];
        y.at[first + i] = result;
        if (kPlanes != 0) whole[i + i / 32] = result;
      }
  }

  // a block of planes a lane
  if (kPlanes == 0) return;
  barrier();
  for (uint block = lane; block < width / 32; block += apart) {
    float values[32];
    [[unroll]] for (uint i = 0; i < 32; ++i) values[i] = whole[block * 33 + i];
    store_planes(planes, (row * (width / 32) + block) * kPlaneWords, values);
  }
}
