// visibility.h — a shader whose accesses to shared memory do not wait for one another.
//
// Under the Vulkan memory model glslang makes each of them available or visible by itself, and
// RADV waits for each before the next. The shaders that need the model do so at their barriers
// (shaders/cooperative.glsl), which is enough.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ropewalk::vulkan {

// REQUIRES: SPIR-V without atomic or `coherent` accesses.
std::vector<uint32_t> visible_at_barriers(std::span<const uint32_t> words);

}  // namespace ropewalk::vulkan
