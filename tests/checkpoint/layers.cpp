#include "tests/checkpoint/layers.h"

#include <cstring>

#include "core/checkpoint/weights/finite.h"
#include "core/checkpoint/weights/weight_room.h"

namespace ropewalk::test {

std::vector<Layer> layers_of(const ModelConfig& config) {
  const uint32_t hidden = config.hidden_size, inner = config.intermediate_size;
  const uint32_t query = config.heads * config.head_dim, key = config.kv_heads * config.head_dim;
  std::vector<Layer> layers;
  for (uint32_t i = 0; i < config.layers; ++i) {
    const std::string block = "model.layers." + std::to_string(i) + ".";
    layers.insert(layers.end(), {{block + "self_attn.q_proj", hidden, query},
                                 {block + "self_attn.k_proj", hidden, key},
                                 {block + "self_attn.v_proj", hidden, key},
                                 {block + "self_attn.o_proj", query, hidden},
                                 {block + "mlp.gate_proj", hidden, inner},
                                 {block + "mlp.up_proj", hidden, inner},
                                 {block + "mlp.down_proj", inner, hidden}});
  }
  if (!config.tied_embeddings) layers.push_back({"lm_head", hidden, config.vocab_size});
  return layers;
}

HeldWeight load_columns(const WeightSource& weights, const WeightInfo& info,
                        const Columns& columns) {
  HeldWeight held;
  held.room.resize(room_bytes(info.shape, columns.count));
  held.weight = weights.load(info, columns, held.room);
  return held;
}

HeldWeight load_whole(const WeightSource& weights, const WeightInfo& info) {
  return load_columns(weights, info, {0, info.shape.cols, {}});
}

WeightInfo describe(const WeightSource& weights, const Layer& layer) {
  return weights.describe(layer.prefix, abi::WeightUse::matmul, layer.rows, layer.cols);
}

void read_everything(const Checkpoint& checkpoint) {
  const CheckpointWeights weights(checkpoint);
  const ModelConfig& config = checkpoint.config();
  load_whole(weights, weights.describe("model.embed_tokens", abi::WeightUse::embed,
                                       config.hidden_size, config.vocab_size));
  weights.load_vector("model.norm.weight", config.hidden_size);
  for (uint32_t i = 0; i < config.layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i);
    if (config.norms != Norms::after)
      weights.load_vector(layer + ".input_layernorm.weight", config.hidden_size);
    weights.load_vector(layer + ".post_attention_layernorm.weight", config.hidden_size);
  }
  std::vector<WeightInfo> linears;
  for (const Layer& layer : layers_of(config)) linears.push_back(describe(weights, layer));
  for (const WeightInfo& info : linears) {
    load_whole(weights, info);
    weights.load_bias(info, {});
  }
}

float dequantised(const abi::Weight& weight, uint32_t k, uint32_t n) {
  const uint32_t r = weight.row_order.empty() ? k : weight.row_order[k];
  const uint32_t c = weight.column_order.empty() ? n : weight.column_order[n];
  const auto stored = [&](std::span<const std::byte> bytes, abi::DType dtype, size_t index) {
    const StoredType type = dtype == abi::DType::f32   ? StoredType::f32
                            : dtype == abi::DType::f16 ? StoredType::f16
                                                       : StoredType::bf16;
    return to_floats(type, bytes.subspan(index * stored_size(type), stored_size(type)))[0];
  };
  if (weight.dtype != abi::DType::gptq)
    return stored(weight.dense, weight.dtype, size_t{c} * weight.rows + r);
  const uint32_t bits = weight.bits, group = k / weight.group_size;
  const uint32_t code = abi::gptq_code(weight.qweight.data() + c, weight.cols, bits, r);
  const uint32_t* zeros = weight.qzeros.data() + size_t{group} * weight.cols * bits / 32;
  const uint32_t zero = abi::gptq_code(zeros, 1, bits, c) + weight.zero_offset;
  const float scale = stored(weight.scales, weight.scale_dtype, size_t{group} * weight.cols + c);
  return scale * (static_cast<float>(code) - static_cast<float>(zero));
}

}  // namespace ropewalk::test
