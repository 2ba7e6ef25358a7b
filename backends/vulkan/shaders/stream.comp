#version 460
// Reads memory, or copies it: the ceiling that matrix-vector products are compared with. Or fills it with
// random numbers first: some devices compress zeros.
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
  uint what;
};
const uint kRead = 0, kCopy = 1, kFill = 2;

// Murmur's finaliser.
uint hash(uint x) {
  x = (x ^ x >> 16) * 0x85ebca6bu;
  x = (x ^ x >> 13) * 0xc2b2ae35u;
  return x ^ x >> 16;
}

void main() {
  const uint first = gl_WorkGroupID.x * gl_WorkGroupSize.x * kVectors + gl_LocalInvocationID.x;
  uvec4 all = uvec4(0);
  for (uint i = 0; i < kVectors; ++i) {
    const uint at = first + i * gl_WorkGroupSize.x;
    if (what == kFill) {
      to.at[at] = uvec4(hash(4 * at), hash(4 * at + 1), hash(4 * at + 2), hash(4 * at + 3));
      continue;
    }
    const uvec4 value = from.at[at];
    all |= value;
    if (what == kCopy) to.at[at] = value;
  }
  // Never true, but the compiler cannot know.
  if (what == kRead && all == uvec4(0x12345678u)) to.at[0] = all;
}
