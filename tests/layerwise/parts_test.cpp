// A model run part by part computes what it computes in one piece, bit for bit.
#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <map>

#include "core/checkpoint/weights/checkpoint_weights.h"
#include "core/checkpoint/weights/finite.h"
#include "core/layerwise/layer_weights.h"
#include "core/layerwise/linear_sets.h"
#include "core/layerwise/model_part.h"
#include "tests/error_of.h"
#include "tests/layerwise/layer_rig.h"

namespace ropewalk::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Whole {
  explicit Whole(const LayerRig& rig)
      : base(*rig.checkpoint),
        weights(base, nullptr, {}),
        model(build_model(weights,
                          {abi::DType::f32, abi::DType::f32,
                           abi::pages_for(rig.device.max_tokens(), abi::kDefaultPageTokens),
                           rig.device.rope().attention_scale(), abi::KeyRotation::before_cache})),
        sets(linear_sets(model, {})) {}

  size_t begin_of(size_t set) const { return node_of(sets[set], model.graph); }

  CheckpointWeights base;
  LayerWeights weights;  // with tables for inputs
  ModelGraph model;
  std::vector<LinearSet> sets;
};

TEST(LinearSets, AreThoseThatReadTheSame) {
  const LayerRig rig("dense-f16", 1);
  const Whole whole(rig);
  ASSERT_EQ(whole.sets.size(), 4 * rig.checkpoint->config().layers);
  const auto names_of = [](const LinearSet& set) {
    std::vector<std::string> names;
    for (const Linear& linear : set.linears) names.push_back(linear.name);
    return names;
  };
  EXPECT_THAT(names_of(whole.sets[4]),
              ElementsAre("model.layers.1.self_attn.q_proj", "model.layers.1.self_attn.k_proj",
                          "model.layers.1.self_attn.v_proj"));
  EXPECT_THAT(names_of(whole.sets[5]), ElementsAre("model.layers.1.self_attn.o_proj"));
  EXPECT_THAT(names_of(whole.sets[6]),
              ElementsAre("model.layers.1.mlp.gate_proj", "model.layers.1.mlp.up_proj"));
  EXPECT_THAT(names_of(whole.sets[7]), ElementsAre("model.layers.1.mlp.down_proj"));
  EXPECT_EQ(whole.sets[4].input, "model.layers.1.input_layernorm");
  EXPECT_EQ(whole.sets[7].cols, rig.checkpoint->config().intermediate_size);
}

TEST(LinearSets, ShapesThatNoFileHoldsAreRefused) {
  const auto refusal = [](uint32_t rows, uint32_t cols, uint8_t bits, uint32_t group) {
    quantize::Settings settings;
    settings.bits = bits;
    settings.group_size = group;
    const std::vector<LinearSet> sets = {LinearSet{{Linear{"up", rows}}, "x", cols}};
    return error_of([&] { check_shapes(sets, settings); });
  };
  EXPECT_THAT(
      refusal(200, 64, 3, 32),
      HasSubstr("2 up: has 200 outputs and 64 inputs, expected multiples of 32 for 3 bits"));
  EXPECT_THAT(refusal(64, 4096, 4, 48), HasSubstr("up: has 4096 inputs, which groups of 48 do"));
  EXPECT_EQ(refusal(200, 64, 4, 32), "no error");
}

TEST(LinearSets, ShortGroupsAreTakenWhereAllowed) {
  const std::vector<LinearSet> sets = {LinearSet{{Linear{"up", 64}}, "x", 96}};
  quantize::Settings settings;
  settings.group_size = 64;
  EXPECT_THAT(error_of([&] { check_shapes(sets, settings); }),
              HasSubstr("2 up: has 96 inputs, which groups of 64 do not divide. Take another "
                        "--group-size, or --allow-short-group"));
  settings.short_groups = true;
  EXPECT_EQ(error_of([&] { check_shapes(sets, settings); }), "no error");
}

TEST(GraphCut, CarriesTheResidualAndTheInput) {
  const LayerRig rig("dense-f16", 1);
  const Whole whole(rig);
  const uint32_t hidden = rig.checkpoint->config().hidden_size;
  EXPECT_EQ(live_at(whole.model.graph, whole.begin_of(1)),
            (std::vector<LiveValue>{{"model.embed_tokens", hidden},
                                    {"model.layers.0.self_attn", hidden}}));
  const GraphCut part = cut_graph(whole.model, whole.begin_of(0), whole.begin_of(1), 8);
  EXPECT_EQ(part.inputs, (std::vector<LiveValue>{{"model.layers.0.input_layernorm", hidden}}))
      << "the residual passes by";
  EXPECT_EQ(part.outputs, (std::vector<LiveValue>{{"model.layers.0.self_attn", hidden}}));
}

// The values of a text at a cut, by name.
using Values = std::map<std::string, std::vector<std::byte>>;

void run_part(const LayerRig& rig, const Whole& whole, size_t first, size_t last,
              const std::vector<int32_t>& text, Values& values) {
  ModelPart part(rig.device, whole.weights,
                 cut_graph(whole.model, first, last, rig.device.max_tokens()));
  std::vector<ValueRows> in, out;
  for (const LiveValue& value : part.inputs()) in.push_back({.host = values.at(value.name)});
  for (const LiveValue& value : part.outputs())
    out.push_back({.host = std::vector<std::byte>(text.size() * value.width * sizeof(float))});
  part.run(text, in, out);
  for (size_t i = 0; i < out.size(); ++i) values[part.outputs()[i].name] = std::move(out[i].host);
}

std::vector<std::byte> bytes_of(const std::vector<float>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

class Parts : public ::testing::TestWithParam<const char*> {};

TEST_P(Parts, ComputeWhatTheWholeComputes) {
  const LayerRig rig(GetParam(), 2);
  const Whole whole(rig);
  const std::vector<int32_t> text = rig.texts().front();
  Values parts, once;
  size_t first = 0;
  for (size_t set = 0; set < whole.sets.size(); ++set) {
    run_part(rig, whole, first, whole.begin_of(set), text, parts);
    first = whole.begin_of(set);
  }
  run_part(rig, whole, 0, first, text, once);
  ASSERT_EQ(once.size(), 2u);
  for (const auto& [name, bytes] : once) EXPECT_EQ(parts.at(name), bytes) << name;
}

INSTANTIATE_TEST_SUITE_P(Models, Parts,
                         ::testing::Values("dense-f16", "dense-bf16", "dense-gqa", "dense-bias",
                                           "dense-tied", "dense-odd-sizes"),
                         [](const auto& row) {
                           std::string name = row.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

// What the last layer leaves of a text, through the last norm and the head, in double precision.
std::vector<double> logprobs_from(const LayerRig& rig, std::span<const float> residual,
                                  const std::vector<int32_t>& text) {
  const uint32_t hidden = rig.checkpoint->config().hidden_size;
  const std::vector<float> norm =
      CheckpointWeights(*rig.checkpoint).load_vector("model.norm.weight", hidden);
  const TensorInfo& tensor = rig.checkpoint->get("lm_head.weight");
  std::vector<std::byte> bytes(tensor.bytes);
  rig.checkpoint->read(tensor, bytes);
  const std::vector<float> head = to_floats(tensor.type, bytes);
  std::vector<double> logprobs;
  for (size_t token = 0; token + 1 < text.size(); ++token) {
    const auto x = residual.subspan(token * hidden, hidden);
    double square = 0, total = 0;
    for (const float value : x) square += static_cast<double>(value) * static_cast<double>(value);
    const double scale = 1 / std::sqrt(square / hidden + rig.checkpoint->config().rms_norm_eps);
    std::vector<double> logits(head.size() / hidden);
    for (size_t id = 0; id < logits.size(); ++id) {
      for (size_t k = 0; k < hidden; ++k)
        logits[id] += static_cast<double>(x[k]) * scale * static_cast<double>(norm[k]) *
                      static_cast<double>(head[id * hidden + k]);
      total += std::exp(logits[id]);
    }
    logprobs.push_back(logits[static_cast<size_t>(text[token + 1])] - std::log(total));
  }
  return logprobs;
}

// A step has 512 tokens; the rest of a text finds the first ones in the cache.
TEST(ModelPart, RunsATextInSeveralSteps) {
  const std::vector<int32_t> text = long_text_of("dense-f16");
  Config config = LayerRig::config_with("dense-f16", 2);
  config.context.length = static_cast<uint32_t>(text.size());
  const LayerRig rig(config, *config.context.length);
  ASSERT_GT(text.size(), rig.device.rows());
  const Whole whole(rig);
  const auto select = std::ranges::find(whole.model.graph.nodes, abi::Op::select, &GraphNode::op);
  const auto end = static_cast<size_t>(select - whole.model.graph.nodes.begin());
  Values values;
  for (size_t set = 0; set <= whole.sets.size(); ++set)
    run_part(rig, whole, set == 0 ? 0 : whole.begin_of(set - 1),
             set < whole.sets.size() ? whole.begin_of(set) : end, text, values);
  const std::vector<std::byte>& bytes = values.at("model.layers.1.mlp_add");
  EXPECT_LT(max_difference(logprobs_from(rig, to_floats(StoredType::f32, bytes), text),
                           logprobs_of("dense-f16", config, text)),
            1e-4);
}

// In the first step of a text, and in the second.
TEST(ModelPart, SaysWhereAValueIsNotFinite) {
  Config config = LayerRig::config_with("dense-f16", 1);
  config.context.length = 600;
  const LayerRig rig(config, 600);
  ASSERT_LT(rig.device.rows(), 550u);
  const Whole whole(rig);
  const std::vector<int32_t> text(600, 3);
  ModelPart part(rig.device, whole.weights,
                 cut_graph(whole.model, whole.begin_of(1), whole.begin_of(2), 600));
  const size_t width = rig.checkpoint->config().hidden_size;
  for (const size_t token : {4u, 550u}) {
    std::vector<ValueRows> in(2), out(2);
    std::vector<float> values(text.size() * width, 0.5f);
    in[0].host = bytes_of(values);
    values[token * width + 7] = std::numeric_limits<float>::infinity();
    in[1].host = bytes_of(values);
    for (ValueRows& rows : out) rows.host.resize(in[0].host.size());
    expect_error(
        ExitCode::non_finite,
        HasSubstr("model.layers.0.attention_add: found a value that is NaN or infinite for token " +
                  std::to_string(token) + " of a text"),
        [&] { part.run(text, in, out); });
  }
}

}  // namespace
}  // namespace ropewalk::test
