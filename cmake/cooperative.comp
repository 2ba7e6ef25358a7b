#version 460
// Compiles where the compiler knows GL_KHR_cooperative_matrix (Shaders.cmake).
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
layout(local_size_x = 32) in;
shared uvec4 tile[64];
void main() {
  coopmat<float16_t, gl_ScopeSubgroup, 16, 16, gl_MatrixUseA> x;
  coopMatLoad(x, tile, 0, 2, gl_CooperativeMatrixLayoutRowMajor);
  coopMatStore(x, tile, 32, 2, gl_CooperativeMatrixLayoutRowMajor);
}
