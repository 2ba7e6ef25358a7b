// shaders.h — the compiled shaders, embedded as constants.
#pragma once

#include <cstdint>
#include <span>

namespace ropewalk::vulkan {

struct Shader {
  const char* name;
  std::span<const uint32_t> words;  // SPIR-V; none where no compiler for it was found
  bool whole_subgroups = false;  // its subgroups must be whole, of the size that the device tells
  bool on_matrices = false;      // or of Features::matrix_lanes
};

extern const Shader kEmbed, kRmsNorm, kGptqMatvec, kGptqMatvecShuffles, kGptqMatvecF16, kGptqMatmul,
    kGptqMatmulShuffles, kGptqTile, kGptqTileF16, kGptqMatrix, kGptqMatrixCooperative, kXToF16,
    kGptqLean, kGptqLeanPlaned, kGptqLeanSplit, kGptqLeanStaged, kGptqLeanGated,
    kGptqLeanGatedNormed, kGptqQkv, kGptqQkvNormed, kGptqDotTile, kXToI8, kRope, kKvAppend,
    kAttention, kAttentionWide, kAttentionJoined, kAttentionTile, kAttentionMatrix,
    kAttentionMatrixCooperative, kAttentionCombine, kSiluMul, kGeluMul, kAdd, kPermute, kSelect,
    kLowRankShrink, kLowRankExpand, kStream, kProducts, kProductsF16, kProductsDot, kProductsMatrix,
    kProductsMatrixCooperative;

}  // namespace ropewalk::vulkan
