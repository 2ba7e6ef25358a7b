// Fused steps with several products of one x.
#include <algorithm>
#include <bit>

#include "backends/vulkan/ops/product.h"

namespace ropewalk::vulkan {
namespace {

// The block of weights.glsl with GATED. With NORMED `x` is x itself, else its planes.
struct GatedPush {
  VkDeviceAddress up_codes, codes, scales, bias, up_scales, y, step, x, up_bias;
  uint32_t depth, width, group_size, blocks_per_group, blocks, over_wanted, has_bias, first_row;
  VkDeviceAddress planes, norm_weight, x_order;
};

// The block of gptq_qkv.comp.
struct QkvPush {
  VkDeviceAddress q_codes, k_codes, v_codes, q_bias, k_bias, v_bias, x, step;
  VkDeviceAddress keys, values, q_rotated;
  uint32_t blocks_per_group, blocks, heads, kv_heads;
  float rope_scale;
  uint32_t has_bias;
  VkDeviceAddress norm_weight, x_order;
};

// One shader can read both.
bool are_alike(const PackedShape& a, const PackedShape& b) {
  return a.scale_dtype == b.scale_dtype && a.zero_offset == b.zero_offset && a.zeros == b.zeros &&
         a.zero == b.zero;
}

bool are_all_alike(const std::vector<Operands>& products) {
  const auto weight = [](const Operands& op) { return op.weight(1, abi::WeightUse::matmul); };
  const PackedShape first = weight(products[0]);
  return std::ranges::all_of(
      products, [&](const Operands& other) { return are_alike(first, weight(other)); });
}

// Bit i: product i has a bias.
uint32_t biases(const std::vector<Operands>& products) {
  uint32_t bits = 0;
  for (size_t i = 0; i < products.size(); ++i) bits |= (products[i].has(2) ? 1u : 0u) << i;
  return bits;
}

Norm norm_of(const Products& products) { return products.norm ? Norm::inside : Norm::outside; }

// x of the products, as a shader with this tiling reads it: what the rms_norm reads, or planes.
struct XOfProducts {
  Range range;
  VkDeviceAddress norm_weight = 0, order = 0;
};

XOfProducts x_of(const Products& products, const Tiling& tiling, const PackedShape& weight,
                 MatmulPush& push, Recorder& recorder) {
  const Operands* norm = products.norm;
  if (is_normed(tiling)) return {norm->range(0), norm->at(1), norm->at(2)};
  if (norm) rms_norm(*norm, recorder);
  return {prepare_x(products.product[0], weight, tiling.x, push, recorder)};
}

// From constant 14 on.
void add_norm(const Products& products, const Tiling& tiling, const PackedShape& weight,
              Constants& constants) {
  if (!is_normed(tiling)) return;
  const Operands& norm = *products.norm;
  constants.insert(constants.end(), {weight.blocks, norm.has(2),
                                     std::bit_cast<uint32_t>(norm.node().norm().epsilon)});
}

}  // namespace

void gated_matmul(const Products& products, const Operands& silu_mul, Recorder& recorder) {
  const Operands &gate = products.product[0], &up = products.product[1];
  const PackedShape& of_gate = gate.weight(1, abi::WeightUse::matmul);
  const PackedShape& of_up = up.weight(1, abi::WeightUse::matmul);
  const uint32_t rows = gate.rows(), width = gate.width();
  const Tiling tiling = gated_tiling(recorder.features(), of_gate, width, rows, norm_of(products));
  if (!is_gated(tiling) || !are_all_alike(products.product)) {
    if (products.norm) rms_norm(*products.norm, recorder);
    matmul(gate, {Epilogue::Kind::none, {}, gate.result()}, recorder);
    return matmul(up, {Epilogue::Kind::silu_mul, gate.result(), silu_mul.result()}, recorder);
  }
  MatmulPush one = push_of(gate, of_gate, {Epilogue::Kind::none, {}, silu_mul.result()});
  const XOfProducts x = x_of(products, tiling, of_gate, one, recorder);
  const std::optional<Derived> planes = planes_of_result(silu_mul, recorder.features());
  const GatedPush push{.up_codes = up.at(1),
                       .codes = one.codes,
                       .scales = one.scales,
                       .bias = one.bias,
                       .up_scales = up.at(1) + of_up.scales_at,
                       .y = one.y,
                       .step = one.step,
                       .x = x.range.begin,
                       .up_bias = up.at(2),
                       .depth = one.depth,
                       .width = width,
                       .group_size = one.group_size,
                       .blocks_per_group = one.blocks_per_group,
                       .blocks = one.blocks,
                       .over_wanted = one.over_wanted,
                       .has_bias = biases(products.product),
                       .first_row = 0,
                       .planes = planes ? planes->result.begin : 0,
                       .norm_weight = x.norm_weight,
                       .x_order = x.order};
  Constants constants = constants_of(tiling, of_gate, 0);
  constants.insert(constants.end(), {planes.has_value(), 0, 0});
  add_norm(products, tiling, of_gate, constants);
  const uint32_t columns = tiling.tile_columns();
  recorder.dispatch({*tiling.shader,
                     constants,
                     {(width + columns - 1) / columns, 1, 1},
                     4.0 * rows * of_gate.rows * width},
                    push, {x.range}, {silu_mul.result(), planes ? planes->result : Range{}});
  if (planes) recorder.remember(*planes);
}

void qkv_append(const Products& products, const Operands& rope_of_q, const Operands& append,
                Recorder& recorder) {
  const Operands &q = products.product[0], &k = products.product[1], &v = products.product[2];
  const PackedShape& of_q = q.weight(1, abi::WeightUse::matmul);
  const abi::Tensor& cache = append.in(2);
  const uint32_t rows = q.rows(), head_dim = cache.dim[3];
  const auto [tiling, heads_across] =
      qkv_tiling(recorder.features(), of_q, head_dim, rows, norm_of(products));
  if (heads_across == 0 || !are_all_alike(products.product)) {
    if (products.norm) rms_norm(*products.norm, recorder);
    for (const Operands& product : products.product)
      matmul(product, {Epilogue::Kind::none, {}, product.result()}, recorder);
    return kv_append(append, {q.result(), k.result(), v.result(), &rope_of_q}, recorder);
  }
  MatmulPush one = push_of(q, of_q, {Epilogue::Kind::none, {}, rope_of_q.result()});
  const XOfProducts x = x_of(products, tiling, of_q, one, recorder);
  const uint32_t heads = q.width() / head_dim, kv_heads = cache.dim[2];
  const QkvPush push{.q_codes = q.at(1),
                     .k_codes = k.at(1),
                     .v_codes = v.at(1),
                     .q_bias = q.at(2),
                     .k_bias = k.at(2),
                     .v_bias = v.at(2),
                     .x = x.range.begin,
                     .step = rope_of_q.step(),
                     .keys = append.at(2),
                     .values = append.at(3),
                     .q_rotated = one.y,
                     .blocks_per_group = one.blocks_per_group,
                     .blocks = one.blocks,
                     .heads = heads,
                     .kv_heads = kv_heads,
                     .rope_scale = rope_of_q.node().rope().scale,
                     .has_bias = biases(products.product),
                     .norm_weight = x.norm_weight,
                     .x_order = x.order};
  Constants constants = constants_of(tiling, of_q, 0);
  constants.insert(constants.end(), {cache.dim[1], head_dim, elements_per_word(cache.dtype)});
  add_norm(products, tiling, of_q, constants);
  const auto groups = [across = heads_across](uint32_t count) {
    return (count + across - 1) / across;
  };
  recorder.dispatch({*tiling.shader,
                     constants,
                     {groups(heads) + 2 * groups(kv_heads), 1, 1},
                     2.0 * rows * of_q.rows * (heads + 2 * kv_heads) * head_dim},
                    push, {x.range}, {rope_of_q.result(), append.range(2), append.range(3)});
}

}  // namespace ropewalk::vulkan
