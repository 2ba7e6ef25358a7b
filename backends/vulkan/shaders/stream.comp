#version 460
// Reads memory, or copies it: the ceiling that matrix-vector products are compared with.
// Grid: (vectors / (group * kVectors), 1), neighbouring invocations on neighbouring vectors.
// Bottleneck: the memory, on purpose.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 2) const uint kVectors = 16;  // per invocation

layout(buffer_reference, std430, buffer_reference_align = 16) restrict writeonly buffer Output { uvec4 at[]; };

layout(push_constant) uniform Push {
  Quads from;
  Output to;
  uint vectors;
  uint copies;
};

void main() {
  const uint first = gl_WorkGroupID.x * gl_WorkGroupSize.x * kVectors + gl_LocalInvocationID.x;
  uvec4 all = uvec4(0);
  for (uint i = 0; i < kVectors; ++i) {
    const uint at = first + i * gl_WorkGroupSize.x;
    const uvec4 value = from.at[at];
    all |= value;
    if (copies != 0) to.at[at] = value;
  }
  // Never true, but the compiler cannot know.
  if (copies == 0 && all == uvec4(0x12345678u)) to.at[0] = all;
}
