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

HeldWeight load_columns(const Checkpoint& checkpoint, const LinearInfo& info,
                        ZeroPoints zero_points, const Columns& columns) {
  abi::Weight shape = linear_shape(info);
  shape.cols = columns.count;
  HeldWeight held;
  held.room.resize(room_bytes(shape));
  held.weight = load_linear(checkpoint, info, zero_points, columns, held.room);
  return held;
}

HeldWeight load_whole(const Checkpoint& checkpoint, const LinearInfo& info,
                      ZeroPoints zero_points) {
  return load_columns(checkpoint, info, zero_points, {0, info.cols, {}});
}

void read_everything(const Checkpoint& checkpoint) {
  const ModelConfig& config = checkpoint.config();
  const TableInfo table{"model.embed_tokens.weight", config.vocab_size, config.hidden_size};
  std::vector<std::byte> room(uint64_t{table.vocab} * table.hidden * sizeof(float));
  load_table(checkpoint, table, {0, table.vocab, {}}, room);
  load_vector(checkpoint, "model.norm.weight", config.hidden_size);
  for (uint32_t i = 0; i < config.layers; ++i)
    for (const char* norm : {".input_layernorm.weight", ".post_attention_layernorm.weight"})
      load_vector(checkpoint, "model.layers." + std::to_string(i) + norm, config.hidden_size);
  std::vector<LinearInfo> linears;
  for (const Layer& layer : layers_of(config))
    linears.push_back(describe_linear(checkpoint, layer.prefix, layer.rows, layer.cols));
  const ZeroPoints zero_points = detect_zero_points(checkpoint);
  for (const LinearInfo& info : linears) {
    load_whole(checkpoint, info, zero_points);
    load_bias(checkpoint, info, {});
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
