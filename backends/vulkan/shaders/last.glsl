// The last of several workgroups of a dispatch to get to a point: it reads what all of them have stored, and goes
// on alone. Saves a dispatch and the barrier before it. Which one is last differs from run to run, so it adds up
// in an order of its own.
//
// It needs the Vulkan memory model with device scope. What the workgroups store for one another is devicecoherent:
// each store is made available to the whole device by itself, and each load sees it, so that no driver must support
// chains of availability (RADV of Mesa 22.3 does not). The rest of a shader keeps private memory, which costs nothing.
#extension GL_KHR_memory_scope_semantics : require
#pragma use_vulkan_memory_model

// On members: glslang ignores it on a block that is reached by its address.
layout(buffer_reference, std430, buffer_reference_align = 4) buffer SharedFloats { devicecoherent float at[]; };
// Each is 0 where a dispatch begins and where it ends (program/counters.h).
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Counters { uint at[]; };

shared uint others_before;

// Whether this is the last of `count` workgroups that call it with this counter: all invocations of a workgroup, once,
// behind their stores.
bool is_last(Counters counters, uint counter, uint count) {
  // this workgroup's stores, before its count
  controlBarrier(gl_ScopeWorkgroup, gl_ScopeDevice, gl_StorageSemanticsBuffer, gl_SemanticsAcquireRelease);
  if (gl_LocalInvocationIndex == 0) {
    others_before =
        atomicAdd(counters.at[counter], 1, gl_ScopeDevice, gl_StorageSemanticsBuffer, gl_SemanticsAcquireRelease);
    // nobody else will touch it in this dispatch
    if (others_before == count - 1)
      atomicStore(counters.at[counter], 0u, gl_ScopeDevice, gl_StorageSemanticsNone, gl_SemanticsRelaxed);
  }
  // all counts, before what this workgroup loads
  controlBarrier(gl_ScopeWorkgroup, gl_ScopeDevice, gl_StorageSemanticsBuffer | gl_StorageSemanticsShared,
                 gl_SemanticsAcquireRelease);
  return others_before == count - 1;
}
