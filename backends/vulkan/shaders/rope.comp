#version 460
// c = cos(a) * scale, t = sin(a) * scale; y[i] = x[i] c - x[i+d/2] t, y[i+d/2] = x[i+d/2] c + x[i] t; a pair
// of frequency 0 is copied.
// Grid: (heads * d/2 / group, rows), an invocation for each pair. Bottleneck: latency. The host has
// computed cosine and sine: once for all layers, and to the last bit as the CPU backend's.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x_id = 0) in;

layout(push_constant) uniform Push {
  Floats x;  // (R, heads, 2 * half_dim)
  FloatResults y;  // (R, heads, 2 * half_dim)
  Step step;
  uint heads;
  uint half_dim;
  float scale;
};

void main() {
  const uint row = gl_WorkGroupID.y, pair = gl_GlobalInvocationID.x;
  if (row >= step.rows || pair >= heads * half_dim) return;
  const uint i = pair % half_dim;
  const uint low = (row * heads + pair / half_dim) * 2 * half_dim + i, high = low + half_dim;
  const float pair_scale = rope_scale_of(step, row, i, scale);
  const uint angle = (row * step.rope_pairs + i) * 2;
  const float c = step.angles.at[angle] * pair_scale;
  const float t = step.angles.at[angle + 1] * pair_scale;
  const float a = x.at[low], b = x.at[high];
  y.at[low] = a * c - b * t;
  y.at[high] = b * c + a * t;
}
