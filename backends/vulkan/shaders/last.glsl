// The last of several workgroups of a dispatch to get to a point: it reads what all of them have stored, and goes
// on alone. Saves a dispatch and the barrier before it. Which one is last differs from run to run, so it adds up
// in an order of its own.
//
// What the workgroups store for one another is coherent, and the counter is acquired and released for the whole device
// (Features::memory_model). Under `#pragma use_vulkan_memory_model` glslang makes each access to shared memory and each
// of these loads a barrier of its own: RADV then loads one word at a time, and the loops of attention had 36 % more
// vector instructions.
#extension GL_KHR_memory_scope_semantics : require

layout(buffer_reference, std430, buffer_reference_align = 4) coherent buffer SharedFloats { float at[]; };
// Each is 0 where a dispatch begins and where it ends (program/counters.h).
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Counters { uint at[]; };

// Its first element alone: what is declared behind it stays aligned to 16 bytes, and is loaded by so many.
shared uint others_before[4];

// Whether this is the last of `count` workgroups that call it with this counter: all invocations of a workgroup, once,
// behind their stores.
bool is_last(Counters counters, uint counter, uint count) {
  // this workgroup's stores, before its count
  controlBarrier(gl_ScopeWorkgroup, gl_ScopeDevice, gl_StorageSemanticsBuffer, gl_SemanticsAcquireRelease);
  if (gl_LocalInvocationIndex == 0) {
    others_before[0] =
        atomicAdd(counters.at[counter], 1, gl_ScopeDevice, gl_StorageSemanticsBuffer, gl_SemanticsAcquireRelease);
    // nobody else will touch it in this dispatch
    if (others_before[0] == count - 1)
      atomicStore(counters.at[counter], 0u, gl_ScopeDevice, gl_StorageSemanticsNone, gl_SemanticsRelaxed);
  }
  // all counts, before what this workgroup loads
  controlBarrier(gl_ScopeWorkgroup, gl_ScopeDevice, gl_StorageSemanticsBuffer | gl_StorageSemanticsShared,
                 gl_SemanticsAcquireRelease);
  return others_before[0] == count - 1;
}
