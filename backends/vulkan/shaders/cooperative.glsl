// What shaders on matrix cores begin with, and their emulations (matrix.glsl).
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#ifdef COOPERATIVE
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#define UNROLL [[unroll]]
// What is shared becomes visible here, so that its accesses need not wait one by one (spirv.h).
#define barrier()                                                                     \
  controlBarrier(gl_ScopeWorkgroup, gl_ScopeWorkgroup, gl_StorageSemanticsShared,     \
                 gl_SemanticsAcquireRelease | gl_SemanticsMakeAvailable | gl_SemanticsMakeVisible)
#else
#define UNROLL [[dont_unroll]]  // a processor's compiler would take half a minute
#endif
