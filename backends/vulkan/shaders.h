// shaders.h — the compiled shaders, by name. Embedded constants.
#pragma once

#include <cstdint>
#include <span>

namespace ropewalk::vulkan {

struct Shader {
  const char* name;
  std::span<const uint32_t> words;  // SPIR-V
  bool shuffles = false;            // the first row of its workgroup must be one subgroup
};

extern const Shader kEmbed, kRmsNorm, kGptqMatvec, kGptqMatvecShuffles, kGptqMatvecHalf,
    kGptqMatmul, kGptqMatmulShuffles, kGptqTile, kGptqTileHalf, kHalfRows, kRope, kKvAppend,
    kAttention, kAttentionTile, kAttentionCombine, kSiluMul, kAdd, kPermute, kSelect, kStream,
    kProducts;

}  // namespace ropewalk::vulkan
