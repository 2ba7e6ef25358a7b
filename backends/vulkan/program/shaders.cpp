#include "backends/vulkan/program/shaders.h"

#include "shaders/add.spv.h"
#include "shaders/attention.spv.h"
#include "shaders/attention_combine.spv.h"
#include "shaders/attention_joined.spv.h"
#include "shaders/attention_matrix.spv.h"
#include "shaders/attention_matrix_cooperative.spv.h"
#include "shaders/attention_tile.spv.h"
#include "shaders/attention_wide.spv.h"
#include "shaders/embed.spv.h"
#include "shaders/gelu_mul.spv.h"
#include "shaders/gptq_dot_tile.spv.h"
#include "shaders/gptq_lean.spv.h"
#include "shaders/gptq_lean_gated.spv.h"
#include "shaders/gptq_lean_gated_normed.spv.h"
#include "shaders/gptq_lean_planed.spv.h"
#include "shaders/gptq_lean_split.spv.h"
#include "shaders/gptq_lean_split_staged.spv.h"
#include "shaders/gptq_matmul.spv.h"
#include "shaders/gptq_matmul_shuffles.spv.h"
#include "shaders/gptq_matrix.spv.h"
#include "shaders/gptq_matrix_cooperative.spv.h"
#include "shaders/gptq_matvec.spv.h"
#include "shaders/gptq_matvec_f16.spv.h"
#include "shaders/gptq_matvec_shuffles.spv.h"
#include "shaders/gptq_qkv.spv.h"
#include "shaders/gptq_qkv_normed.spv.h"
#include "shaders/gptq_tile.spv.h"
#include "shaders/gptq_tile_f16.spv.h"
#include "shaders/kv_append.spv.h"
#include "shaders/low_rank_expand.spv.h"
#include "shaders/low_rank_shrink.spv.h"
#include "shaders/permute.spv.h"
#include "shaders/products.spv.h"
#include "shaders/products_dot.spv.h"
#include "shaders/products_f16.spv.h"
#include "shaders/products_matrix.spv.h"
#include "shaders/products_matrix_cooperative.spv.h"
#include "shaders/rms_norm.spv.h"
#include "shaders/rope.spv.h"
#include "shaders/select.spv.h"
#include "shaders/silu_mul.spv.h"
#include "shaders/stream.spv.h"
#include "shaders/x_to_f16.spv.h"
#include "shaders/x_to_i8.spv.h"

namespace ropewalk::vulkan {

const Shader kEmbed{"embed", spirv::k_embed};
const Shader kRmsNorm{"rms_norm", spirv::k_rms_norm};
const Shader kGptqMatvec{"gptq_matvec", spirv::k_gptq_matvec};
const Shader kGptqMatmul{"gptq_matmul", spirv::k_gptq_matmul};
const Shader kGptqMatvecShuffles{"gptq_matvec_shuffles", spirv::k_gptq_matvec_shuffles, true};
const Shader kGptqMatmulShuffles{"gptq_matmul_shuffles", spirv::k_gptq_matmul_shuffles, true};
const Shader kGptqMatvecF16{"gptq_matvec_f16", spirv::k_gptq_matvec_f16};
const Shader kGptqLean{"gptq_lean", spirv::k_gptq_lean, true};
const Shader kGptqLeanPlaned{"gptq_lean_planed", spirv::k_gptq_lean_planed, true};
const Shader kGptqLeanSplit{"gptq_lean_split", spirv::k_gptq_lean_split, true};
const Shader kGptqLeanStaged{"gptq_lean_split_staged", spirv::k_gptq_lean_split_staged, true};
const Shader kGptqLeanGated{"gptq_lean_gated", spirv::k_gptq_lean_gated, true};
const Shader kGptqLeanGatedNormed{"gptq_lean_gated_normed", spirv::k_gptq_lean_gated_normed, true};
const Shader kGptqQkv{"gptq_qkv", spirv::k_gptq_qkv, true};
const Shader kGptqQkvNormed{"gptq_qkv_normed", spirv::k_gptq_qkv_normed, true};
const Shader kGptqDotTile{"gptq_dot_tile", spirv::k_gptq_dot_tile};
const Shader kXToI8{"x_to_i8", spirv::k_x_to_i8};
const Shader kGptqTile{"gptq_tile", spirv::k_gptq_tile};
const Shader kGptqTileF16{"gptq_tile_f16", spirv::k_gptq_tile_f16};
const Shader kGptqMatrix{"gptq_matrix", spirv::k_gptq_matrix};
const Shader kGptqMatrixCooperative{"gptq_matrix_cooperative", spirv::k_gptq_matrix_cooperative,
                                    true, true};
const Shader kXToF16{"x_to_f16", spirv::k_x_to_f16};
const Shader kRope{"rope", spirv::k_rope};
const Shader kKvAppend{"kv_append", spirv::k_kv_append};
const Shader kAttention{"attention", spirv::k_attention};
const Shader kAttentionWide{"attention_wide", spirv::k_attention_wide};
const Shader kAttentionJoined{"attention_joined", spirv::k_attention_joined};
const Shader kAttentionTile{"attention_tile", spirv::k_attention_tile};
const Shader kAttentionMatrix{"attention_matrix", spirv::k_attention_matrix};
const Shader kAttentionMatrixCooperative{"attention_matrix_cooperative",
                                         spirv::k_attention_matrix_cooperative, true, true};
const Shader kAttentionCombine{"attention_combine", spirv::k_attention_combine};
const Shader kSiluMul{"silu_mul", spirv::k_silu_mul};
const Shader kGeluMul{"gelu_mul", spirv::k_gelu_mul};
const Shader kAdd{"add", spirv::k_add};
const Shader kPermute{"permute", spirv::k_permute};
const Shader kSelect{"select", spirv::k_select};
const Shader kLowRankShrink{"low_rank_shrink", spirv::k_low_rank_shrink};
const Shader kLowRankExpand{"low_rank_expand", spirv::k_low_rank_expand};
const Shader kStream{"stream", spirv::k_stream};
const Shader kProducts{"products", spirv::k_products};
const Shader kProductsF16{"products_f16", spirv::k_products_f16};
const Shader kProductsDot{"products_dot", spirv::k_products_dot};
const Shader kProductsMatrix{"products_matrix", spirv::k_products_matrix};
const Shader kProductsMatrixCooperative{"products_matrix_cooperative",
                                        spirv::k_products_matrix_cooperative, true, true};

}  // namespace ropewalk::vulkan
