// spirv.h — what is changed in the words of a shader before a device gets them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ropewalk::vulkan {

// With the demand that f16 subnormals are kept. Small scales and weights are such numbers, and a
// device may otherwise count them as zero. Not every device takes the instruction, so it is not in
// the shaders' own words. REQUIRES: one entry point, and a device with shaderDenormPreserveFloat16.
std::vector<uint32_t> keep_f16_subnormals(std::span<const uint32_t> words);

// Without waits between accesses to shared memory. Under the Vulkan memory model glslang makes each
// of them available or visible by itself, and RADV waits for each before the next. The shaders that
// need the model do so at their barriers (shaders/cooperative.glsl), which is enough.
// REQUIRES: no atomic or `coherent` accesses.
std::vector<uint32_t> visible_at_barriers(std::span<const uint32_t> words);

}  // namespace ropewalk::vulkan
