// configs/card: each configuration on a config.json of the form that its model has, without
// weights, against golden frequencies worked out apart (head size 128, base 10000; the closed forms
// of tools/fixtures/ropemath.py reproduce them).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <filesystem>

#include "core/engine/engine.h"
#include "core/engine/rope_choice.h"
#include "core/json/json.h"
#include "core/model/families.h"

namespace ropewalk::test {
namespace {

namespace fs = std::filesystem;

constexpr size_t kIndices[] = {0, 1, 16, 31, 32, 48, 63};
constexpr double kPlain[] = {1, .8659643234, .1, .01154781985, .01, .001, 1.154781985e-4};
constexpr double kByParts4[] = {1,      .8659643234,   .1, 9.406557596e-3, 7.788564305e-3,
                                2.5e-4, 2.886954962e-5};

struct CardModel {
  const char* name;
  const char* config_json;  // what differs between these models
  std::vector<double> golden;
  uint32_t context, layers;
  const char* format;
};

std::vector<double> plain_over(double factor) {
  std::vector<double> table;
  for (const double theta : kPlain) table.push_back(theta / factor);
  return table;
}

std::vector<CardModel> card_models() {
  const char* llama2 =
      R"("hidden_size":5120,"intermediate_size":13824,"num_hidden_layers":40,"num_attention_heads":40,
         "rms_norm_eps":1e-05,"vocab_size":32000,)";
  static const std::string pi8k = std::string(llama2) + R"("max_position_embeddings":8192,
                               "rope_scaling":{"type":"linear","factor":2.0})";
  static const std::string pntk =
      std::string(llama2) +
      R"("max_position_embeddings":16384,"original_max_position_embeddings":4096)";
  static const std::string llama1 =
      R"("hidden_size":5120,"intermediate_size":13824,"num_hidden_layers":40,"num_attention_heads":40,
         "rms_norm_eps":1e-06,"vocab_size":32000,"pad_token_id":0,"max_position_embeddings":8192)";
  static const std::string llama1_33b =
      R"("hidden_size":6656,"intermediate_size":17920,"num_hidden_layers":60,"num_attention_heads":52,
         "rms_norm_eps":1e-06,"vocab_size":32000,"pad_token_id":-1,"max_position_embeddings":16384)";
  static const std::string plain =
      std::string(llama2) + R"("max_position_embeddings":4096,"rope_scaling":null)";
  const std::vector<double> by_parts(std::begin(kByParts4), std::end(kByParts4));
  return {
      {"airophin-v2-13b-PI-8k-fp16", pi8k.c_str(), plain_over(2), 8192, 40, "vicuna-v1.1"},
      {"airophin-v2-13b-PI-8k-GPTQ", pi8k.c_str(), plain_over(2), 8192, 40, "vicuna-v1.1"},
      {"airophin-13b-pntk-16k-fp16", pntk.c_str(), by_parts, 16384, 40, "vicuna-v1.1"},
      {"airoboros-13b-gpt4-1.4.1-PI-8192-fp16", llama1.c_str(), plain_over(4), 8192, 40,
       "airoboros-1.4"},
      {"airoboros-33b-gpt4-1.4.1-lxctx-PI-16384-fp16", llama1_33b.c_str(), plain_over(8), 16384, 60,
       "airoboros-1.4"},
      {"airoboros-l2-13b-gpt4-1.4.1", plain.c_str(), plain_over(1), 4096, 40, "airoboros-1.4"},
  };
}

class Card : public testing::TestWithParam<CardModel> {};

TEST_P(Card, ResolvesToItsTable) {
  const CardModel& card = GetParam();
  const fs::path file =
      fs::path(RW_SOURCE_DIR) / "configs/card" / (std::string(card.name) + ".yaml");
  const Config config = load_config({.file = file});
  EXPECT_EQ(config.model.filename(), card.name);
  EXPECT_EQ(config.prompt.format->name, card.format);
  EXPECT_EQ(config.context.length, card.context);

  const JsonSource source{"config.json", ExitCode::model};
  const ModelConfig model = parse_model_config(
      parse_json(std::string(R"({"architectures":["LlamaForCausalLM"],"model_type":"llama",
                                "hidden_act":"silu",)") +
                     card.config_json + "}",
                 source),
      source, config_families());
  EXPECT_EQ(model.head_dim, 128u);
  EXPECT_EQ(model.layers, card.layers);
  const RopeChoice choice = choose_rope(config, model, *config.context.length);
  Registry registry = make_registry(config);
  // The prompt format is there too, not only named.
  registry.find(abi::ModuleKind::prompt_format, config.prompt.format->name);
  const Library& library = registry.find(abi::ModuleKind::rope_scaling, choice.plugin.name);
  const Owned<abi::RopeScaling> policy = library.create<abi::RopeScaling>(choice.plugin, nullptr);
  RopeTables tables(*policy, choice.request, choice.mode, choice.heads);
  EXPECT_EQ(tables.attention_scale(), 1);
  EXPECT_FALSE(tables.varies());
  // The card's table is measured at lengths on both sides of the context.
  for (const uint32_t length : {512u, 4096u, 12000u}) {
    const std::span<const float> table = tables.inv_freq(length);
    ASSERT_EQ(table.size(), 64u);
    for (size_t i = 0; i < std::size(kIndices); ++i)
      EXPECT_NEAR(table[kIndices[i]] / card.golden[i], 1, 1e-6) << "pair " << kIndices[i];
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Card, testing::ValuesIn(card_models()), [](const auto& test) {
  std::string name = test.param.name;
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
});

TEST(CardConfigs, HaveATestEach) {
  size_t files = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(RW_SOURCE_DIR) / "configs/card"))
    files += entry.path().extension() == ".yaml";
  EXPECT_EQ(files, card_models().size());
}

}  // namespace
}  // namespace ropewalk::test
