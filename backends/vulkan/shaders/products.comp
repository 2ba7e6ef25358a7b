#version 460
// Multiply-adds from registers: the ceiling that products of matrices are compared with, in the arithmetic that
// they have where there are no matrix cores. In f32; with F16 of two f16 with a sum in f32; with DOT of four bytes
// with an integer sum, of which a product takes two, one for each plane of x (planes.glsl).
// Grid: (groups, 1). Each invocation keeps kChains sums whose steps do not depend on one another.
// Bottleneck: multiply-adds, on purpose.
#extension GL_GOOGLE_include_directive : require
#ifdef F16
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#endif
#include "common.glsl"
#ifdef DOT
#include "dot.glsl"
#endif

layout(local_size_x_id = 0) in;
const uint kChains = 16;
const uint kUnrolled = 16;

layout(push_constant) uniform Push {
  FloatResults result;
  uint rounds;  // of kChains * kUnrolled multiply-adds
};

// A chain's next sum; of f16 and bytes the factors come from the sum of another chain.
#if defined(DOT)
#define Sum int
int next(int sum, int other, float start) { return dot4(other, 0x7f3f1f0f, sum, 0); }
#elif defined(F16)
#define Sum float
float next(float sum, float other, float start) {
  const f16vec2 factors = unpackFloat2x16(floatBitsToUint(other));
  return fma(float(factors.x), float(factors.y), sum);
}
#else
#define Sum float
float next(float sum, float other, float start) { return fma(sum, 0.999, start); }
#endif

void main() {
  Sum sum[kChains];
  const float start = float(gl_LocalInvocationID.x) * 1e-3;
  [[unroll]] for (uint c = 0; c < kChains; ++c) sum[c] = Sum(start + float(c));
  for (uint r = 0; r < rounds; ++r)
    [[unroll]] for (uint i = 0; i < kUnrolled; ++i)
      [[unroll]] for (uint c = 0; c < kChains; ++c)
        sum[c] = next(sum[c], sum[(c + kChains / 2) % kChains], start);
  Sum all = 0;
  [[unroll]] for (uint c = 0; c < kChains; ++c) all += sum[c];
  if (all == -1) result.at[0] = float(all);  // the compiler cannot know that it never is
}
