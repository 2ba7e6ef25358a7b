// Tiles of 16 x 16 that a subgroup multiplies: x, W and sums. With COOPERATIVE they are matrices of
// GL_KHR_cooperative_matrix, without it plain GLSL that computes the same, so that a device without matrix
// cores can test what lies around them.
// A matrix of f16 lies in `tiles`, 8 values in a vector and `pitch` vectors a line; sums are f32.
// REQUIRES: kSubgroupLanes; shared uvec4 tiles[].
const uint kEdge = 16;
const uint kEdgeVectors = kEdge / 8;

#ifdef COOPERATIVE

#define MatrixX coopmat<float16_t, gl_ScopeSubgroup, kEdge, kEdge, gl_MatrixUseA>
#define MatrixW coopmat<float16_t, gl_ScopeSubgroup, kEdge, kEdge, gl_MatrixUseB>
#define MatrixSum coopmat<float, gl_ScopeSubgroup, kEdge, kEdge, gl_MatrixUseAccumulator>
// Lines are rows of x and columns of W.
#define load_x(x, at, pitch) coopMatLoad(x, tiles, at, pitch, gl_CooperativeMatrixLayoutRowMajor)
#define load_w(w, at, pitch) coopMatLoad(w, tiles, at, pitch, gl_CooperativeMatrixLayoutColumnMajor)
// A factor for each of 16 columns, or rows, from a shared array of floats.
#define load_by_column(sum, from, at) coopMatLoad(sum, from, at, 0, gl_CooperativeMatrixLayoutRowMajor)
#define load_by_row(sum, from, at) coopMatLoad(sum, from, at, 0, gl_CooperativeMatrixLayoutColumnMajor)
#define set_sum(sum, value) sum = MatrixSum(value)
#define multiply(x, w, zero, sum) sum = coopMatMulAdd(x, w, zero)
#define multiply_add(x, w, sum) sum = coopMatMulAdd(x, w, sum)
#define scale_sum(sum, scale) sum *= scale
#define add_scaled(sum, scale, other) sum += scale * other
// As f32, four in a vector.
#define store_sum(sum, at, pitch) coopMatStore(sum, tiles, at, pitch, gl_CooperativeMatrixLayoutRowMajor)
#define subgroup_index() gl_SubgroupID

#else
// Loops stay loops: a processor's compiler would take a minute for them. But the innermost: Mesa ends all loops of an
// invocation after 65535 turns together (LP_MAX_TGSI_LOOP_ITERATIONS), which an attention over 400 keys would reach.

struct MatrixX {
  uint at, pitch;
};
struct MatrixW {
  uint at, pitch;
};
const uint kOfLane = kEdge * kEdge / kSubgroupLanes;  // sums; neighbouring lanes have neighbouring columns
struct MatrixSum {
  float of[kOfLane];
};

uint subgroup_index() { return gl_LocalInvocationIndex / kSubgroupLanes; }
uint row_of_sum(uint i) { return (i * kSubgroupLanes + gl_LocalInvocationIndex % kSubgroupLanes) / kEdge; }
uint column_of_sum(uint i) { return (i * kSubgroupLanes + gl_LocalInvocationIndex % kSubgroupLanes) % kEdge; }

void load_x(out MatrixX x, uint at, uint pitch) { x = MatrixX(at, pitch); }
void load_w(out MatrixW w, uint at, uint pitch) { w = MatrixW(at, pitch); }
#define load_by_column(sum, from, first) [[dont_unroll]] for (uint i = 0; i < kOfLane; ++i) sum.of[i] = from[(first) + column_of_sum(i)]
#define load_by_row(sum, from, first) [[dont_unroll]] for (uint i = 0; i < kOfLane; ++i) sum.of[i] = from[(first) + row_of_sum(i)]
void set_sum(out MatrixSum sum, float value) {
  [[dont_unroll]] for (uint i = 0; i < kOfLane; ++i) sum.of[i] = value;
}
void multiply_add(MatrixX x, MatrixW w, inout MatrixSum sum) {
  [[dont_unroll]] for (uint i = 0; i < kOfLane; ++i) {
    [[unroll]] for (uint v = 0; v < kEdgeVectors; ++v) {
      const uvec4 left = tiles[x.at + row_of_sum(i) * x.pitch + v];
      const uvec4 right = tiles[w.at + column_of_sum(i) * w.pitch + v];
      [[unroll]] for (uint e = 0; e < 4; ++e) {
        const vec2 a = unpackHalf2x16(left[e]), b = unpackHalf2x16(right[e]);
        sum.of[i] = fma(a.y, b.y, fma(a.x, b.x, sum.of[i]));
      }
    }
  }
}
void multiply(MatrixX x, MatrixW w, MatrixSum zero, out MatrixSum sum) {
  [[dont_unroll]] for (uint i = 0; i < kOfLane; ++i) sum.of[i] = zero.of[i];
  multiply_add(x, w, sum);
}
void scale_sum(inout MatrixSum sum, MatrixSum scale) {
  [[dont_unroll]] for (uint i = 0; i < kOfLane; ++i) sum.of[i] *= scale.of[i];
}
void add_scaled(inout MatrixSum sum, MatrixSum scale, MatrixSum other) {
  [[dont_unroll]] for (uint i = 0; i < kOfLane; ++i) sum.of[i] += scale.of[i] * other.of[i];
}
void store_sum(MatrixSum sum, uint at, uint pitch) {
  [[dont_unroll]] for (uint i = 0; i < kOfLane; ++i) {
    const uint column = column_of_sum(i);
    tiles[at + row_of_sum(i) * pitch + column / 4][column % 4] = floatBitsToUint(sum.of[i]);
  }
}

#endif
