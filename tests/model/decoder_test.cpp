#include "core/model/decoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "core/graph/check.h"

namespace ropewalk::test {
namespace {

// Every layer quantised with act-order, its head too, and with a bias.
class AllOrdered final : public WeightSource {
 public:
  explicit AllOrdered(const ModelConfig& config) : config_(config) {}
  explicit AllOrdered(bool tied) {
    config_.hidden_size = config_.intermediate_size = 64;
    config_.vocab_size = 96;
    config_.layers = config_.heads = config_.kv_heads = 1;
    config_.head_dim = 64;
    config_.rms_norm_eps = 1e-5;
    config_.tied_embeddings = tied;
  }
  const ModelConfig& config() const override { return config_; }
  WeightInfo describe(std::string_view name, abi::WeightUse use, uint32_t rows,
                      uint32_t cols) const override {
    WeightInfo info{.name = std::string(name), .shape = {.use = use, .rows = rows, .cols = cols}};
    if (name == "model.embed_tokens") return info;
    info.shape.dtype = abi::DType::gptq;
    info.shape.bits = 4;
    info.shape.group_size = 32;
    info.row_order.resize(rows);
    std::iota(info.row_order.rbegin(), info.row_order.rend(), 0u);
    info.has_bias = true;
    return info;
  }
  abi::Weight load(const WeightInfo&, const Columns&, std::span<std::byte>) const override {
    return {};
  }
  std::vector<float> load_bias(const WeightInfo&, std::span<const uint32_t>) const override {
    return {};
  }
  std::vector<float> load_vector(std::string_view, uint32_t) const override { return {}; }

 private:
  ModelConfig config_;
};

ModelGraph build(const ModelConfig& config) {
  return build_decoder(AllOrdered(config), {.activation = abi::DType::f32,
                                            .kv_type = abi::DType::f16,
                                            .cache_pages = 1,
                                            .attention_scale = 1,
                                            .keys = abi::KeyRotation::before_cache});
}

// The logits are of the wanted rows alone, and so is what is permuted for them.
TEST(Decoder, EveryLayerMayBeOrderedAndBiased) {
  const ModelGraph model = build(AllOrdered(false).config());
  check_graph(model.graph);
  ASSERT_EQ(model.weights.size(), 9u);  // table, q k v o gate up down, head
  for (const WeightLoad& load : model.weights) {
    const GraphTensor& tensor = model.graph.tensors[load.tensor];
    EXPECT_EQ(tensor.name, load.info.name + ".weight");
    if (load.info.name == "model.embed_tokens") continue;
    ASSERT_TRUE(load.bias) << tensor.name;
    EXPECT_EQ(model.graph.tensors[*load.bias].dims, std::vector<uint32_t>{load.info.shape.cols});
  }
}

TEST(Decoder, ATiedHeadIsTheTableOnceMoreForAMatmul) {
  const ModelGraph model = build(AllOrdered(true).config());
  check_graph(model.graph);
  const WeightLoad &table = model.weights.front(), &head = model.weights.back();
  EXPECT_EQ(table.info.name, "model.embed_tokens");
  EXPECT_EQ(head.info.name, "model.embed_tokens");
  EXPECT_EQ(table.info.shape.use, abi::WeightUse::embed);
  EXPECT_EQ(head.info.shape.use, abi::WeightUse::matmul);
  EXPECT_EQ(model.graph.tensors[table.tensor].dims, (std::vector<uint32_t>{96, 64}));
  EXPECT_EQ(model.graph.tensors[head.tensor].dims, (std::vector<uint32_t>{64, 96}));
}

const GraphNode& node_of(const ModelGraph& model, std::string_view name) {
  const auto found = std::ranges::find(model.graph.nodes, name, &GraphNode::name);
  if (found == model.graph.nodes.end()) throw std::out_of_range(std::string(name));
  return *found;
}

TEST(Decoder, EachLayerHasItsOwnWindow) {
  ModelConfig config = AllOrdered(false).config();
  config.layers = 2;
  config.window = 7;
  config.slides = {false, true};
  const ModelGraph model = build(config);
  EXPECT_EQ(
      std::get<abi::AttentionParams>(node_of(model, "model.layers.0.self_attn").params).window, 0u);
  EXPECT_EQ(
      std::get<abi::AttentionParams>(node_of(model, "model.layers.1.self_attn").params).window, 7u);
}

// Layers that slide rotate by the second table, which the policy does not scale.
TEST(Decoder, EachLayerHasItsOwnRopeTable) {
  ModelConfig config = AllOrdered(false).config();
  config.layers = 2;
  config.window = 7;
  config.slides = {false, true};
  config.rope.local_theta = 1e4;
  ModelOptions options{.activation = abi::DType::f32,
                       .kv_type = abi::DType::f16,
                       .cache_pages = 1,
                       .attention_scale = 2,
                       .keys = abi::KeyRotation::before_cache};
  const auto rope_of = [](const ModelGraph& model, std::string_view name) {
    return std::get<abi::RopeParams>(node_of(model, name).params);
  };
  const ModelGraph model = build_decoder(AllOrdered(config), options);
  EXPECT_EQ(rope_of(model, "model.layers.0.self_attn.q_rope").table, 0u);
  EXPECT_EQ(rope_of(model, "model.layers.0.self_attn.q_rope").scale, 2);
  EXPECT_EQ(rope_of(model, "model.layers.1.self_attn.k_rope").table, 1u);
  EXPECT_EQ(rope_of(model, "model.layers.1.self_attn.k_rope").scale, 1);

  options.keys = abi::KeyRotation::on_read;
  const ModelGraph on_read = build_decoder(AllOrdered(config), options);
  const auto attention_of = [&](std::string_view name) {
    return std::get<abi::AttentionParams>(node_of(on_read, name).params);
  };
  EXPECT_EQ(attention_of("model.layers.0.self_attn").scale, 4 / 8.0f);
  EXPECT_EQ(attention_of("model.layers.1.self_attn").scale, 1 / 8.0f);
  EXPECT_EQ(attention_of("model.layers.1.self_attn").table, 1u);
}

TEST(Decoder, ALayerMayHaveNoRope) {
  ModelConfig config = AllOrdered(false).config();
  config.layers = 2;
  config.rotates = {true, false};
  const ModelGraph model = build(config);
  EXPECT_NO_THROW(node_of(model, "model.layers.0.self_attn.q_rope"));
  EXPECT_THROW(node_of(model, "model.layers.1.self_attn.q_rope"), std::out_of_range);
  EXPECT_THROW(node_of(model, "model.layers.1.self_attn.k_rope"), std::out_of_range);
}

// Of 8 dimensions 4 are rotated: 0 and 2, 1 and 3 become pairs of rope.
TEST(Decoder, APartlyRotatedHeadIsReordered) {
  ModelConfig config = AllOrdered(false).config();
  config.heads = 2;
  config.head_dim = 8;
  config.rotary_dims = 4;
  const ModelGraph model = build(config);
  const auto order_of = [&](std::string_view layer) {
    return model.graph.tensors[node_of(model, layer).in[1]].column_order;
  };
  EXPECT_EQ(order_of("model.layers.0.self_attn.q_proj"),
            (std::vector<uint32_t>{0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15}));
  EXPECT_EQ(order_of("model.layers.0.self_attn.k_proj"),
            (std::vector<uint32_t>{0, 1, 4, 5, 2, 3, 6, 7}));
  EXPECT_TRUE(order_of("model.layers.0.self_attn.v_proj").empty());
}

}  // namespace
}  // namespace ropewalk::test
