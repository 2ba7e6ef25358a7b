#include "core/model/decoder.h"

#include <fmt/format.h>

#include <cmath>

namespace ropewalk {
namespace {

using abi::DType;
using abi::kRows;
using abi::kWanted;
using abi::Op;
using abi::TensorKind;

class Builder {
 public:
  Builder(const WeightSource& weights, const ModelOptions& options)
      : weights_(weights), config_(weights.config()), options_(options) {}

  ModelGraph build() {
    TensorId x = embed();
    for (uint32_t i = 0; i < config_.layers; ++i) x = layer(fmt::format("model.layers.{}", i), x);
    logits(x);
    return std::move(model_);
  }

 private:
  Graph& graph() { return model_.graph; }

  TensorId scratch(std::string name, std::vector<uint32_t> dims) {
    GraphTensor tensor;
    tensor.name = std::move(name);
    tensor.dtype = options_.activation;
    tensor.dims = std::move(dims);
    return graph().add_tensor(std::move(tensor));
  }

  TensorId node(Op op, const std::string& name, std::vector<TensorId> in,
                std::vector<uint32_t> out_dims, const abi::NodeParams& params) {
    const TensorId out = scratch(name, std::move(out_dims));
    graph().add_node({name, op, std::move(in), {out}, params});
    return out;
  }

  // A norm's weight or a bias: (size) f32.
  TensorId vector(const std::string& name, uint32_t size) {
    GraphTensor tensor;
    tensor.name = name;
    tensor.kind = TensorKind::constant;
    tensor.dims = {size};
    return graph().add_tensor(std::move(tensor));
  }

  TensorId order(const std::string& name, const std::vector<uint32_t>& values) {
    GraphTensor tensor;
    tensor.name = name;
    tensor.kind = TensorKind::constant;
    tensor.dtype = DType::i32;
    tensor.dims = {static_cast<uint32_t>(values.size())};
    tensor.values = values;
    return graph().add_tensor(std::move(tensor));
  }

  TensorId cache(const std::string& name) {
    GraphTensor tensor;
    tensor.name = name;
    tensor.kind = TensorKind::cache;
    tensor.dtype = options_.kv_type;
    tensor.dims = {options_.cache_pages, abi::kPageTokens, config_.kv_heads, config_.head_dim};
    return graph().add_tensor(std::move(tensor));
  }

  TensorId table(const std::string& name) {
    GraphTensor tensor;
    tensor.name = name;
    tensor.kind = TensorKind::weight;
    tensor.dtype = weights_.table_type(name);
    tensor.dims = {config_.vocab_size, config_.hidden_size};
    const TensorId id = graph().add_tensor(std::move(tensor));
    model_.tables.push_back({id, name});
    return id;
  }

  TensorId norm(const std::string& name, TensorId x, uint32_t rows) {
    const uint32_t size = config_.hidden_size;
    const TensorId weight = vector(name + ".weight", size);
    model_.vectors.push_back({weight, name + ".weight", size});
    return node(Op::rms_norm, name, {x, weight}, {rows, size},
                abi::NormParams{static_cast<float>(config_.rms_norm_eps)});
  }

  // The weight of y = x . W, preceded by the permute that act-order asks for.
  TensorId linear(const std::string& prefix, TensorId x, uint32_t rows, uint32_t cols,
                  std::vector<uint32_t> out_dims) {
    LinearLoad load;
    load.info = weights_.linear(prefix, rows, cols);
    if (!load.info.row_order.empty()) {
      const TensorId by = order(prefix + ".order", load.info.row_order);
      x = node(Op::permute, prefix + ".permute", {x, by}, {kRows, rows}, {});
    }
    GraphTensor weight;
    weight.name = prefix + ".weight";
    weight.kind = TensorKind::weight;
    weight.dtype = load.info.quantized ? DType::gptq : load.info.dense_type;
    weight.bits = load.info.bits;
    weight.group_size = load.info.group_size;
    weight.dims = {rows, cols};
    load.weight = graph().add_tensor(std::move(weight));
    std::vector<TensorId> in = {x, load.weight};
    if (load.info.has_bias) {
      load.bias = vector(prefix + ".bias", cols);
      in.push_back(*load.bias);
    }
    model_.linears.push_back(std::move(load));
    return node(Op::matmul, prefix, std::move(in), std::move(out_dims), {});
  }

  TensorId embed() {
    return node(Op::embed, "model.embed_tokens", {table("model.embed_tokens.weight")},
                {kRows, config_.hidden_size}, {});
  }

  TensorId attention(const std::string& prefix, TensorId x) {
    const uint32_t hidden = config_.hidden_size, d = config_.head_dim;
    const uint32_t width = config_.heads * d, kv_width = config_.kv_heads * d;
    const std::vector<uint32_t> q_dims = {kRows, config_.heads, d};
    const std::vector<uint32_t> kv_dims = {kRows, config_.kv_heads, d};
    TensorId q = linear(prefix + ".q_proj", x, hidden, width, q_dims);
    TensorId k = linear(prefix + ".k_proj", x, hidden, kv_width, kv_dims);
    const TensorId v = linear(prefix + ".v_proj", x, hidden, kv_width, kv_dims);

    double scale = 1 / std::sqrt(static_cast<double>(d));
    if (options_.keys == abi::KeyRotation::before_cache) {
      const abi::RopeParams rope{static_cast<float>(options_.attention_scale)};
      q = node(Op::rope, prefix + ".q_rope", {q}, q_dims, rope);
      k = node(Op::rope, prefix + ".k_rope", {k}, kv_dims, rope);
    } else {
      scale *= options_.attention_scale * options_.attention_scale;
    }
    const TensorId keys = cache(prefix + ".key_cache"), values = cache(prefix + ".value_cache");
    graph().add_node({prefix + ".kv_append", Op::kv_append, {k, v, keys, values}, {}});
    const TensorId y = node(Op::attention, prefix, {q, keys, values}, {kRows, width},
                            abi::AttentionParams{static_cast<float>(scale), options_.keys});
    return linear(prefix + ".o_proj", y, width, hidden, {kRows, hidden});
  }

  TensorId mlp(const std::string& prefix, TensorId x) {
    const uint32_t hidden = config_.hidden_size, inner = config_.intermediate_size;
    const TensorId gate = linear(prefix + ".gate_proj", x, hidden, inner, {kRows, inner});
    const TensorId up = linear(prefix + ".up_proj", x, hidden, inner, {kRows, inner});
    const TensorId y = node(Op::silu_mul, prefix + ".silu_mul", {gate, up}, {kRows, inner}, {});
    return linear(prefix + ".down_proj", y, inner, hidden, {kRows, hidden});
  }

  TensorId layer(const std::string& prefix, TensorId x) {
    const std::vector<uint32_t> dims = {kRows, config_.hidden_size};
    const TensorId a =
        attention(prefix + ".self_attn", norm(prefix + ".input_layernorm", x, kRows));
    const TensorId h = node(Op::add, prefix + ".attention_add", {x, a}, dims, {});
    const TensorId m = mlp(prefix + ".mlp", norm(prefix + ".post_attention_layernorm", h, kRows));
    return node(Op::add, prefix + ".mlp_add", {h, m}, dims, {});
  }

  // Only the rows whose logits are wanted go through the last norm and the widest matmul.
  void logits(TensorId x) {
    const uint32_t hidden = config_.hidden_size, vocab = config_.vocab_size;
    const TensorId last = node(Op::select, "select", {x}, {kWanted, hidden}, {});
    const TensorId normed = norm("model.norm", last, kWanted);
    TensorId out;
    if (config_.tied_embeddings) {
      out = node(Op::matmul, "lm_head", {normed, tied_head()}, {kWanted, vocab}, {});
    } else {
      out = linear("lm_head", normed, hidden, vocab, {kWanted, vocab});
    }
    graph().tensors[out].dtype = DType::f32;
    graph().add_output(out);
  }

  // A second copy of the embedding table, in the layout that the device wants for a matmul.
  TensorId tied_head() {
    const std::string name = "model.embed_tokens.weight";
    GraphTensor weight;
    weight.name = "lm_head.weight";
    weight.kind = TensorKind::weight;
    weight.dtype = weights_.table_type(name);
    weight.dims = {config_.hidden_size, config_.vocab_size};
    const TensorId id = graph().add_tensor(std::move(weight));
    model_.tables.push_back({id, name});
    return id;
  }

  const WeightSource& weights_;
  const ModelConfig& config_;
  const ModelOptions& options_;
  ModelGraph model_;
};

}  // namespace

ModelGraph build_decoder(const WeightSource& weights, const ModelOptions& options) {
  return Builder(weights, options).build();
}

}  // namespace ropewalk
