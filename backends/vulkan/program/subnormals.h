// subnormals.h — a shader with the demand that f16 subnormals are kept.
//
// Small scales and weights are such numbers, and a device may otherwise count them as zero. Not
// every device takes the instruction, so it is not in the shaders' own words.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ropewalk::vulkan {

// REQUIRES: SPIR-V with one entry point, and a device with shaderDenormPreserveFloat16.
std::vector<uint32_t> keep_f16_subnormals(std::span<const uint32_t> words);

}  // namespace ropewalk::vulkan
