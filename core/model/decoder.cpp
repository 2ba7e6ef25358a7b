#include "core/model/decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace ropewalk {
namespace {

using abi::DType;
using abi::kRows;
using abi::kWanted;
using abi::Op;
using abi::TensorKind;

constexpr std::string_view kEmbedding = "model.embed_tokens";
constexpr std::string_view kHead = "lm_head";

class Builder {
 public:
  Builder(const WeightSource& weights, const ModelOptions& options)
      : weights_(weights), config_(weights.config()), options_(options) {}

  ModelGraph build() {
    TensorId x = embed();
    for (layer_ = 0; layer_ < config_.layers; ++layer_)
      x = layer(fmt::format("model.layers.{}", layer_), x);
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
    tensor.dims = {options_.cache_pages, options_.page_tokens, config_.kv_heads, config_.head_dim};
    return graph().add_tensor(std::move(tensor));
  }

  // (rows, cols) of a matmul, (cols, rows) of a table.
  TensorId weight(const std::string& name, WeightInfo info) {
    const abi::Weight& shape = info.shape;
    GraphTensor tensor;
    tensor.name = name;
    tensor.kind = TensorKind::weight;
    tensor.dtype = shape.dtype;
    tensor.bits = shape.bits;
    tensor.group_size = shape.group_size;
    tensor.dims = {shape.rows, shape.cols};
    if (shape.use == abi::WeightUse::embed) std::swap(tensor.dims[0], tensor.dims[1]);
    const TensorId id = graph().add_tensor(std::move(tensor));
    model_.weights.push_back({id, std::nullopt, std::move(info)});
    return id;
  }

  // Normalises each run of `size` values of x.
  TensorId norm(const std::string& name, TensorId x, uint32_t size) {
    const TensorId weight = vector(name + ".weight", size);
    const float plus = config_.norms_add_one ? 1 : 0;
    model_.vectors.push_back({weight, name + ".weight", size, plus, 1});
    std::vector<uint32_t> dims = graph().tensors[x].dims;
    return node(Op::rms_norm, name, {x, weight}, std::move(dims),
                abi::NormParams{static_cast<float>(config_.rms_norm_eps)});
  }

  // y = x . W, preceded by the permute that act-order asks for.
  TensorId matmul(const std::string& name, TensorId x, WeightInfo info,
                  std::vector<uint32_t> out_dims) {
    if (!info.row_order.empty()) {
      const TensorId by = order(name + ".order", info.row_order);
      std::vector<uint32_t> dims = graph().tensors[x].dims;
      x = node(Op::permute, name + ".permute", {x, by}, std::move(dims), {});
    }
    const bool has_bias = info.has_bias;
    const uint32_t cols = info.shape.cols;
    std::vector<TensorId> in = {x, weight(name + ".weight", std::move(info))};
    if (has_bias) {
      in.push_back(vector(name + ".bias", cols));
      model_.weights.back().bias = in.back();
    }
    return node(Op::matmul, name, std::move(in), std::move(out_dims), {});
  }

  // A product's result with the change that the rows' adapters make, where the layer has room for
  // them.
  TensorId adapted(TensorId y) {
    const GraphNode product = graph().nodes[graph().writer(y)];
    const WeightInfo& info =
        std::ranges::find(model_.weights, product.in[1], &WeightLoad::tensor)->info;
    const bool is_part = !info.stored.name.empty() && info.stored.name != info.name;
    const std::string module = is_part ? info.stored.name : product.name;
    const AdapterRoom* room = options_.adapters;
    if (!room || !room->modules.contains(module)) return y;
    const uint32_t depth = info.shape.rows, width = info.shape.cols;
    const auto tensor = [&](const char* part, DType dtype, std::vector<uint32_t> dims) {
      GraphTensor made;
      made.name = product.name + ".adapters." + part;
      made.kind = TensorKind::adapter;
      made.dtype = dtype;
      made.dims = std::move(dims);
      return graph().add_tensor(std::move(made));
    };
    const TensorId a = tensor("a", DType::f16, {room->slots, depth, room->rank});
    const TensorId b = tensor("b", DType::f16, {room->slots, room->rank, (width + 1) / 2 * 2});
    const TensorId ranks = tensor("ranks", DType::i32, {room->slots});
    graph().tensors[b].column_order = graph().tensors[product.in[1]].column_order;
    std::vector<TensorId> in = {product.in[0], y, a, b, ranks};
    std::optional<TensorId> vectors;
    if (room->vectors.contains(module))
      in.push_back(vectors.emplace(tensor("vectors", DType::f32, {room->slots, 2, width})));
    model_.adapters.push_back(
        {module, info.stored.first, width, a, b, ranks, vectors, info.row_order});
    std::vector<uint32_t> dims = graph().tensors[y].dims;
    return node(Op::low_rank, product.name + ".adapters", std::move(in), std::move(dims), {});
  }

  TensorId linear(const std::string& prefix, TensorId x, uint32_t rows, uint32_t cols,
                  std::vector<uint32_t> out_dims) {
    return matmul(prefix, x, weights_.describe(prefix, abi::WeightUse::matmul, rows, cols),
                  std::move(out_dims));
  }

  TensorId embed() {
    const uint32_t hidden = config_.hidden_size;
    const TensorId table =
        weight(std::string(kEmbedding) + ".weight",
               weights_.describe(kEmbedding, abi::WeightUse::embed, hidden, config_.vocab_size));
    return node(Op::embed, std::string(kEmbedding), {table}, {kRows, hidden},
                abi::EmbedParams{static_cast<float>(config_.scales.embedding)});
  }

  // y = x + a branch of the layer.
  TensorId add(const std::string& name, TensorId x, TensorId branch) {
    return node(Op::add, name, {x, branch}, {kRows, config_.hidden_size},
                abi::AddParams{static_cast<float>(config_.scales.residual)});
  }

  // Rope pairs i with i + d/2. Where only the first r dimensions of a head are rotated, their
  // halves move there, and what is copied lies between and behind:
  //
  //   stored     | 0 .. r/2 | r/2 .. r | r .. (r+d)/2 | (r+d)/2 .. d |
  //   laid out   | 0 .. r/2 | r .. (r+d)/2 | r/2 .. r | (r+d)/2 .. d |
  //
  // Queries and keys move alike, so q . k stays as it is.
  std::vector<uint32_t> order_of_heads(uint32_t heads) const {
    const uint32_t d = config_.head_dim, r = config_.rotated();
    std::vector<uint32_t> order;
    if (r == d) return order;
    for (uint32_t first = 0; first < heads * d; first += d) {
      const auto take = [&](uint32_t begin, uint32_t end) {
        for (uint32_t i = begin; i < end; ++i) order.push_back(first + i);
      };
      take(0, r / 2);
      take(r, (r + d) / 2);
      take(r / 2, r);
      take((r + d) / 2, d);
    }
    return order;
  }

  // A product that becomes queries or keys: (R, heads, d).
  TensorId heads_of(const std::string& prefix, TensorId x, uint32_t heads) {
    const uint32_t d = config_.head_dim;
    const TensorId y = linear(prefix, x, config_.hidden_size, heads * d, {kRows, heads, d});
    const WeightLoad& load = model_.weights.back();
    graph().tensors[load.tensor].column_order = order_of_heads(heads);
    if (load.bias) graph().tensors[*load.bias].column_order = order_of_heads(heads);
    return y;
  }

  TensorId attention(const std::string& prefix, TensorId x) {
    const uint32_t hidden = config_.hidden_size, d = config_.head_dim;
    const uint32_t width = config_.heads * d, kv_width = config_.kv_heads * d;
    const std::vector<uint32_t> q_dims = {kRows, config_.heads, d};
    const std::vector<uint32_t> kv_dims = {kRows, config_.kv_heads, d};
    TensorId q = heads_of(prefix + ".q_proj", x, config_.heads);
    TensorId k = heads_of(prefix + ".k_proj", x, config_.kv_heads);
    TensorId v = linear(prefix + ".v_proj", x, hidden, kv_width, kv_dims);
    for (TensorId* y : {&q, &k, &v}) *y = adapted(*y);

    if (config_.query_norms != QueryNorms::none) {
      const bool heads = config_.query_norms == QueryNorms::of_heads;
      q = norm(prefix + ".q_norm", q, heads ? d : width);
      k = norm(prefix + ".k_norm", k, heads ? d : kv_width);
    }
    double scale = config_.scales.attention;
    if (scale == 0) scale = 1 / std::sqrt(static_cast<double>(d));
    const bool rotates = config_.rotates_in(layer_);
    const abi::KeyRotation rotation = rotates ? options_.keys : abi::KeyRotation::before_cache;
    const uint32_t table = config_.rope_table_of(layer_);
    const double rope_scale = table == 0 ? options_.attention_scale : 1;  // the policy's
    if (rotation == abi::KeyRotation::on_read) {
      scale *= rope_scale * rope_scale;
    } else if (rotates) {
      const abi::RopeParams rope{static_cast<float>(rope_scale), table};
      q = node(Op::rope, prefix + ".q_rope", {q}, q_dims, rope);
      k = node(Op::rope, prefix + ".k_rope", {k}, kv_dims, rope);
    }
    const TensorId keys = cache(prefix + ".key_cache"), values = cache(prefix + ".value_cache");
    graph().add_node({prefix + ".kv_append", Op::kv_append, {k, v, keys, values}, {}});
    const abi::AttentionParams params{static_cast<float>(scale), rotation,
                                      config_.window_of(layer_),
                                      static_cast<float>(config_.scales.score_cap),
                                      rotation == abi::KeyRotation::on_read ? table : 0};
    const TensorId y = node(Op::attention, prefix, {q, keys, values}, {kRows, width}, params);
    return adapted(linear(prefix + ".o_proj", y, width, hidden, {kRows, hidden}));
  }

  TensorId mlp(const std::string& prefix, TensorId x) {
    const uint32_t hidden = config_.hidden_size, inner = config_.intermediate_size;
    TensorId gate = linear(prefix + ".gate_proj", x, hidden, inner, {kRows, inner});
    TensorId up = linear(prefix + ".up_proj", x, hidden, inner, {kRows, inner});
    for (TensorId* y : {&gate, &up}) *y = adapted(*y);
    const Op op = config_.activation == Activation::silu ? Op::silu_mul : Op::gelu_mul;
    const std::string name = fmt::format("{}.{}", prefix, abi::op_name(op));
    const TensorId y = node(op, name, {gate, up}, {kRows, inner}, {});
    return adapted(linear(prefix + ".down_proj", y, inner, hidden, {kRows, hidden}));
  }

  TensorId layer(const std::string& prefix, TensorId x) {
    const auto normed = [&](const char* name, TensorId of) {
      return norm(prefix + name, of, config_.hidden_size);
    };
    // Families that normalise branches call the norm of what attention adds as the others call the
    // norm of what the MLP reads.
    const bool before = config_.norms != Norms::after, after = config_.norms != Norms::before;
    TensorId a = attention(prefix + ".self_attn", before ? normed(".input_layernorm", x) : x);
    if (after) a = normed(".post_attention_layernorm", a);
    const TensorId h = add(prefix + ".attention_add", x, a);
    const char* read = after ? ".pre_feedforward_layernorm" : ".post_attention_layernorm";
    TensorId m = mlp(prefix + ".mlp", before ? normed(read, h) : h);
    if (after) m = normed(".post_feedforward_layernorm", m);
    return add(prefix + ".mlp_add", h, m);
  }

  // Only the rows whose logits are wanted go through the last norm and the widest matmul.
  void logits(TensorId x) {
    const uint32_t hidden = config_.hidden_size, vocab = config_.vocab_size;
    const TensorId last = node(Op::select, "select", {x}, {kWanted, hidden}, {});
    const TensorId normed = norm("model.norm", last, hidden);
    // The head is linear, so what scales the logits may as well scale what it reads.
    model_.vectors.back().scale = static_cast<float>(config_.scales.logits);
    // Tied: a second copy of the embedding table, in the layout that the device wants for a matmul.
    const std::string_view stored = config_.tied_embeddings ? kEmbedding : kHead;
    TensorId out =
        matmul(std::string(kHead), normed,
               weights_.describe(stored, abi::WeightUse::matmul, hidden, vocab), {kWanted, vocab});
    graph().tensors[out].dtype = DType::f32;
    out = adapted(out);
    graph().tensors[out].dtype = DType::f32;
    graph().add_output(out);
    model_.logit_cap = static_cast<float>(config_.scales.logit_cap);
  }

  const WeightSource& weights_;
  const ModelConfig& config_;
  const ModelOptions& options_;
  ModelGraph model_;
  uint32_t layer_ = 0;  // the layer that is being built
};

}  // namespace

ModelGraph build_decoder(const WeightSource& weights, const ModelOptions& options) {
  return Builder(weights, options).build();
}

}  // namespace ropewalk
