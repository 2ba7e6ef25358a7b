#include "core/checkpoint/config/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/abi/options.h"
#include "core/model/families.h"
#include "tests/checkpoint/tiny_model.h"
#include "tests/error_of.h"

namespace ropewalk::test {
namespace {

using testing::ElementsAre;
using testing::Pair;
using testing::UnorderedElementsAre;

ModelConfig read(const Json& changes) {
  Json config = tiny_model().config;
  config.update(changes);
  return parse_model_config(config, {"config.json", ExitCode::model}, config_families());
}

RopeConfig rope(const Json& changes) { return read(changes).rope; }

TEST(ModelConfig, FillsInWhatOldConfigsLeaveOut) {
  Json config = tiny_model().config;
  for (const char* key : {"num_key_value_heads", "max_position_embeddings", "rms_norm_eps"})
    config.erase(key);
  const ModelConfig read =
      parse_model_config(config, {"config.json", ExitCode::model}, config_families());
  EXPECT_EQ(read.kv_heads, 2u);
  EXPECT_EQ(read.head_dim, 32u);
  EXPECT_EQ(read.max_position, 2048u);  // these are LlamaConfig's defaults
  EXPECT_EQ(read.rms_norm_eps, 1e-6);
  EXPECT_EQ(read.rope.theta, 10000.0);
  EXPECT_EQ(read.rope.policy, "none");
  EXPECT_FALSE(read.tied_embeddings);
}

TEST(ModelConfig, TakesTheFirstConversionsOfLlama) {
  EXPECT_EQ(read({{"architectures", {"LLaMAForCausalLM"}}, {"pad_token_id", -1}}).layers, 1u);
}

// Two families, the second with a key of its own.
constexpr std::string_view kOne[] = {"OneForCausalLM"}, kTwo[] = {"TwoForCausalLM", "Two1LMHead"};
const ConfigFamily kFamilies[] = {
    {"One", "one", kOne, nullptr},
    {"Two", "two", kTwo,
     [](const JsonFields& fields, ModelConfig& config) {
       config.layers = static_cast<uint32_t>(fields.unsigned_integer("n_two", 1, 9));
     }},
};

ModelConfig read_of_two(const Json& model_type, const Json& architectures) {
  Json config = tiny_model().config;
  config.update({{"model_type", model_type}, {"architectures", architectures}, {"n_two", 7}});
  return parse_model_config(config, {"config.json", ExitCode::model}, kFamilies);
}

TEST(ConfigFamily, IsFoundByEitherKeyAndReadsItsOwn) {
  EXPECT_EQ(read_of_two("one", nullptr).model_type, "one");
  EXPECT_EQ(read_of_two("one", nullptr).layers, 1u);
  EXPECT_EQ(read_of_two(nullptr, {"Two1LMHead"}).model_type, "two");
  EXPECT_EQ(read_of_two("two", {"Other", "TwoForCausalLM"}).layers, 7u);
}

TEST(ConfigFamily, AModelOfNoneIsToldOfAll) {
  const std::string expected =
      R"(expected OneForCausalLM of model_type "one" or TwoForCausalLM of model_type "two")";
  const auto said = [](const Json& model_type, const Json& architectures) -> std::string {
    try {
      read_of_two(model_type, architectures);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(said("three", nullptr), "config.json: model_type: found \"three\", " + expected +
                                        ". Only One, Two models can be run.");
  // Each key alone would do; together they contradict each other.
  EXPECT_EQ(said("one", {"TwoForCausalLM"}),
            R"(config.json: architectures: found ["TwoForCausalLM"], )" + expected +
                ". Only One, Two models can be run.");
  EXPECT_EQ(said(nullptr, nullptr), "config.json: model_type: is missing, " + expected + ".");
}

TEST(ConfigFamily, WhatIsRefusedIsToldWhy) {
  const struct {
    const char* why;
    std::vector<const char*> types;
  } rows[] = {
      {"experts",
       {"mixtral", "qwen2_moe", "qwen3_moe", "phimoe", "granitemoe", "gpt_oss", "llama4"}},
      {"latent", {"deepseek_v2", "deepseek_v3", "minicpm3"}},
      {"recurrent",
       {"mamba", "falcon_h1", "zamba", "lfm2", "nemotron_h", "qwen3_next", "qwen3_5",
        "granitemoehybrid"}},
      {"LayerNorm",
       {"stablelm", "cohere", "phi", "starcoder2", "gpt_neox", "gptj", "gpt2", "opt", "falcon"}},
      {"ALiBi", {"bloom", "mpt"}},
      {"pictures", {"qwen2_vl", "qwen2_5_vl", "mllama"}},
      {"embeddings of its own", {"gemma3n", "gemma4"}},
      {"its own code", {"baichuan", "chatglm", "qwen"}},
  };
  for (const auto& row : rows)
    for (const char* type : row.types)
      expect_error(ExitCode::model,
                   testing::MatchesRegex(".*model_type: found \"" + std::string(type) +
                                         "\", which .*" + row.why + ".*, expected Llama.*"),
                   [&] {
                     read({{"model_type", type}, {"architectures", nullptr}});
                   });
}

ModelConfig of_family(const char* model_type, const char* architecture, Json changes) {
  changes.update({{"model_type", model_type}, {"architectures", {architecture}}});
  return read(changes);
}

TEST(ModelConfig, MistralHasAWindowUnlessItSaysNull) {
  const auto mistral = [](const Json& changes) {
    return of_family("mistral", "MistralForCausalLM", changes);
  };
  EXPECT_EQ(mistral(Json::object()).window, 4096u);
  EXPECT_EQ(mistral({{"sliding_window", 512}}).window, 512u);
  EXPECT_EQ(mistral({{"sliding_window", nullptr}}).window, 0u);
  EXPECT_EQ(mistral(Json::object()).biases, Biases::none);
  EXPECT_EQ(read(Json::object()).window, 0u);
}

TEST(ModelConfig, Qwen2sWindowIsThereWhereItIsUsed) {
  const auto window = [](Json changes) {
    changes["sliding_window"] = 512;
    return of_family("qwen2", "Qwen2ForCausalLM", changes).window;
  };
  const Json used = {{"use_sliding_window", true}, {"max_window_layers", 0}};
  EXPECT_EQ(window(Json::object()), 0u);
  EXPECT_EQ(window({{"use_sliding_window", false}}), 0u);
  EXPECT_EQ(window({{"use_sliding_window", true}}), 0u);  // from layer 28 on
  EXPECT_EQ(window(used), 512u);
  Json two = used;
  two.update({{"num_hidden_layers", 2}, {"max_window_layers", 1}, {"sliding_window", 512}});
  const ModelConfig second = of_family("qwen2", "Qwen2ForCausalLM", two);
  EXPECT_EQ(second.window_of(0), 0u);
  EXPECT_EQ(second.window_of(1), 512u);
  Json told = used;
  told["layer_types"] = {"full_attention"};
  EXPECT_EQ(window(told), 0u);
  told = {{"use_sliding_window", true}, {"layer_types", {"sliding_attention"}}};
  EXPECT_EQ(window(told), 512u);
  EXPECT_EQ(of_family("qwen2", "Qwen2ForCausalLM", Json::object()).biases, Biases::of_qkv);
}

TEST(ModelConfig, Qwen3NormsHeadsAndSaysWhetherItHasBiases) {
  const auto qwen3 = [](Json changes) {
    changes["head_dim"] = 128;
    return of_family("qwen3", "Qwen3ForCausalLM", std::move(changes));
  };
  EXPECT_EQ(qwen3(Json::object()).query_norms, QueryNorms::of_heads);
  EXPECT_EQ(read(Json::object()).query_norms, QueryNorms::none);
  EXPECT_EQ(qwen3(Json::object()).biases, Biases::none);
  EXPECT_EQ(qwen3({{"attention_bias", true}}).biases, Biases::of_attention);
  EXPECT_EQ(qwen3({{"use_sliding_window", true}, {"max_window_layers", 0}}).window, 4096u);
}

TEST(ModelConfig, Phi3RotatesAPartOfEachHead) {
  const auto phi3 = [](const Json& changes) {
    return of_family("phi3", "Phi3ForCausalLM", changes);
  };
  EXPECT_TRUE(phi3(Json::object()).fuses_layers);
  EXPECT_EQ(phi3(Json::object()).window, 0u);
  EXPECT_EQ(phi3({{"sliding_window", 2047}}).window, 2047u);
  EXPECT_EQ(phi3(Json::object()).rotated(), 32u);
  EXPECT_EQ(phi3({{"partial_rotary_factor", 0.75}}).rotated(), 24u);
  // Phi-3-mini-128k called its policy so at first.
  const std::vector<double> factors(12, 1.5);
  for (const char* type : {"longrope", "su", "yarn"}) {
    const ModelConfig config = phi3(
        {{"partial_rotary_factor", 0.75},
         {"rope_scaling", {{"type", type}, {"short_factor", factors}, {"long_factor", factors}}}});
    EXPECT_EQ(config.rope.policy, "longrope") << type;
  }
}

TEST(ModelConfig, GraniteHasFourScales) {
  const ModelConfig config = of_family("granite", "GraniteForCausalLM",
                                       {{"embedding_multiplier", 12.0},
                                        {"residual_multiplier", 0.22},
                                        {"attention_multiplier", 0.0078125},
                                        {"logits_scaling", 16.0}});
  EXPECT_EQ(config.scales.embedding, 12);
  EXPECT_EQ(config.scales.residual, 0.22);
  EXPECT_EQ(config.scales.attention, 0.0078125);
  EXPECT_EQ(config.scales.logits, 0.0625);
  // GraniteConfig's own defaults are 1, the attention's too.
  EXPECT_EQ(of_family("granite", "GraniteForCausalLM", Json::object()).scales.attention, 1);
  EXPECT_EQ(read(Json::object()).scales.attention, 0);
}

TEST(ModelConfig, GemmasTableIsScaledAsItsTypeHoldsTheScale) {
  const auto gemma = [](Json changes) {
    changes.update({{"head_dim", 256}, {"hidden_act", "gelu"}});
    return of_family("gemma", "GemmaForCausalLM", std::move(changes));
  };
  EXPECT_EQ(gemma({{"hidden_size", 3072}, {"torch_dtype", "bfloat16"}}).scales.embedding, 55.5);
  EXPECT_EQ(gemma({{"hidden_size", 3072}, {"torch_dtype", "float16"}}).scales.embedding, 55.4375);
  const ModelConfig config = gemma({{"tie_word_embeddings", false}});
  EXPECT_EQ(config.scales.embedding, 8);
  EXPECT_TRUE(config.tied_embeddings);
  EXPECT_TRUE(config.norms_add_one);
  EXPECT_EQ(config.activation, Activation::gelu_tanh);
}

TEST(ModelConfig, Gemma2CapsAndSlidesInEveryOtherLayer) {
  const auto gemma2 = [](Json changes) {
    changes.update(
        {{"head_dim", 32}, {"hidden_activation", "gelu_pytorch_tanh"}, {"num_hidden_layers", 2}});
    return of_family("gemma2", "Gemma2ForCausalLM", std::move(changes));
  };
  const ModelConfig config = gemma2({{"query_pre_attn_scalar", 144}, {"sliding_window", 512}});
  EXPECT_EQ(config.norms, Norms::before_and_after);
  EXPECT_EQ(config.scales.attention, 1.0 / 12);
  EXPECT_EQ(config.scales.score_cap, 50);
  EXPECT_EQ(config.scales.logit_cap, 30);
  EXPECT_EQ(config.window_of(0), 512u);
  EXPECT_EQ(config.window_of(1), 0u);
  EXPECT_EQ(gemma2({{"attn_logit_softcapping", nullptr}}).scales.score_cap, 0);
  EXPECT_EQ(gemma2({{"final_logit_softcapping", 20.0}}).scales.logit_cap, 20);
}

TEST(ModelConfig, Gemma3sSlidingLayersHaveATableOfTheirOwn) {
  const auto gemma3 = [](Json changes) {
    Json all = {{"head_dim", 32},
                {"hidden_activation", "gelu_pytorch_tanh"},
                {"num_hidden_layers", 7},
                {"rope_scaling", {{"type", "linear"}, {"factor", 8}}}};
    all.update(changes);
    return of_family("gemma3_text", "Gemma3ForCausalLM", std::move(all));
  };
  const ModelConfig config = gemma3({{"sliding_window", 512}});
  EXPECT_THAT(config.slides, ElementsAre(true, true, true, true, true, false, true));
  EXPECT_EQ(config.window_of(0), 512u);
  EXPECT_EQ(config.window_of(5), 0u);
  EXPECT_EQ(config.rope_table_of(0), 1u);
  EXPECT_EQ(config.rope_table_of(5), 0u);
  EXPECT_EQ(config.rope.theta, 1e6);
  EXPECT_EQ(config.rope.policy, "linear");
  EXPECT_EQ(config.rope.local_theta, 1e4);
  EXPECT_EQ(config.query_norms, QueryNorms::of_heads);
  EXPECT_EQ(config.norms, Norms::before_and_after);
  EXPECT_EQ(config.scales.attention, 0.0625);
  EXPECT_THAT(gemma3({{"sliding_window_pattern", 3}}).slides,
              ElementsAre(true, true, false, true, true, false, true));
  EXPECT_EQ(gemma3({{"rope_local_base_freq", 500.0}}).rope.local_theta, 500);
  EXPECT_EQ(read(Json::object()).rope_table_of(0), 0u);
}

// As transformers 5 writes both tables.
TEST(ModelConfig, Gemma3sTablesMayStandTogether) {
  const Json tables = {
      {"full_attention", {{"rope_type", "linear"}, {"factor", 8.0}, {"rope_theta", 2e6}}},
      {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 2e4}}}};
  const Json changes = {
      {"head_dim", 32}, {"hidden_activation", "gelu_pytorch_tanh"}, {"rope_parameters", tables}};
  const RopeConfig rope = of_family("gemma3_text", "Gemma3ForCausalLM", changes).rope;
  EXPECT_EQ(rope.policy, "linear");
  EXPECT_EQ(rope.theta, 2e6);
  EXPECT_EQ(rope.local_theta, 2e4);
}

// google/gemma-3-4b-it's config.json.
TEST(ModelConfig, Gemma3sTextMayStandBesidePictures) {
  const Json text = {{"hidden_size", 2560},
                     {"intermediate_size", 10240},
                     {"model_type", "gemma3_text"},
                     {"num_hidden_layers", 34},
                     {"rope_scaling", {{"factor", 8.0}, {"rope_type", "linear"}}},
                     {"sliding_window", 1024}};
  Json whole = {{"architectures", {"Gemma3ForConditionalGeneration"}},
                {"model_type", "gemma3"},
                {"eos_token_id", {1, 106}},
                {"torch_dtype", "bfloat16"},
                {"text_config", text},
                {"vision_config", {{"hidden_size", 1152}}}};
  const JsonSource source{"config.json", ExitCode::model};
  const ModelConfig config = parse_model_config(whole, source, config_families());
  EXPECT_EQ(config.hidden_size, 2560u);
  EXPECT_EQ(config.heads, 8u);
  EXPECT_EQ(config.kv_heads, 4u);
  EXPECT_EQ(config.head_dim, 256u);
  EXPECT_EQ(config.vocab_size, 262208u);
  EXPECT_EQ(config.trained_length, 131072u);
  EXPECT_EQ(config.window, 1024u);
  EXPECT_EQ(config.scales.embedding, 50.5);  // sqrt(2560) in bf16
  EXPECT_EQ(config.rope.theta, 1e6);
  EXPECT_EQ(config.rope.policy, "linear");
  whole["text_config"]["hidden_size"] = "wide";
  expect_error(ExitCode::model, testing::HasSubstr("config.json: text_config.hidden_size: found"),
               [&] { parse_model_config(whole, source, config_families()); });
}

TEST(ModelConfig, Olmo2NormalisesWhatItAddsAlone) {
  const ModelConfig config = of_family("olmo2", "Olmo2ForCausalLM", Json::object());
  EXPECT_EQ(config.norms, Norms::after);
  EXPECT_EQ(config.query_norms, QueryNorms::of_rows);
  EXPECT_EQ(config.biases, Biases::none);
}

TEST(ModelConfig, SmolLm3LeavesRopeOut) {
  const auto rotates = [](Json changes) {
    changes["num_hidden_layers"] = 4;
    return of_family("smollm3", "SmolLM3ForCausalLM", std::move(changes)).rotates;
  };
  EXPECT_THAT(rotates(Json::object()), ElementsAre(true, true, true, false));
  EXPECT_THAT(rotates({{"no_rope_layer_interval", 2}}), ElementsAre(true, false, true, false));
  EXPECT_THAT(rotates({{"no_rope_layers", {0, 1, 1, 0}}}), ElementsAre(false, true, true, false));
}

TEST(ModelConfig, TakesForeignKeysThatChangeNothing) {
  EXPECT_EQ(read({{"attn_logit_softcapping", nullptr},
                  {"residual_multiplier", 1.0},
                  {"logit_scale", 1},
                  {"qk_norm", false},
                  {"rope_interleaved", false},
                  {"rotary_pct", 1.0},
                  {"no_rope_layers", Json::array()},
                  {"num_experts", 0}})
                .layers,
            1u);
}

TEST(ModelConfig, TakesAHeadDimOfItsOwn) {
  EXPECT_EQ(read({{"head_dim", 128}}).head_dim, 128u);
  EXPECT_EQ(read({{"head_dim", nullptr}}).head_dim, 32u);
}

TEST(RopeConfig, ReadsEverySpellingOfLinear) {
  const Json spellings[] = {
      {{"rope_scaling", {{"type", "linear"}, {"factor", 2.0}}}},
      {{"rope_scaling", {{"rope_type", "linear"}, {"factor", 2}}}},
      {{"rope_scaling", {{"type", "linear"}, {"rope_type", "linear"}, {"factor", 2}}}},
      {{"rope_parameters", {{"rope_type", "linear"}, {"factor", 2}, {"rope_theta", 10000.0}}}},
      {{"rope_condense_ratio", 2}},
  };
  for (const Json& spelling : spellings) {
    const RopeConfig config = rope(spelling);
    EXPECT_EQ(config.policy, "linear") << spelling.dump();
    EXPECT_THAT(config.options, ElementsAre(Pair("factor", "2"))) << spelling.dump();
    EXPECT_EQ(config.theta, 10000.0);
  }
}

TEST(RopeConfig, ReadsNothingAndDefaultAsNone) {
  EXPECT_EQ(rope({{"rope_scaling", nullptr}}).policy, "none");
  const RopeConfig config =
      rope({{"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 5e5}}}});
  EXPECT_EQ(config.policy, "none");
  EXPECT_EQ(config.theta, 5e5);
}

// As transformers 5 writes a model without scaling, and what people leave when they delete one.
TEST(RopeConfig, ReadsNoTypeAsDefault) {
  const RopeConfig config = rope({{"rope_parameters", {{"rope_theta", 5e5}}}});
  EXPECT_EQ(config.policy, "none");
  EXPECT_EQ(config.theta, 5e5);
  EXPECT_EQ(rope({{"rope_scaling", Json::object()}}).policy, "none");
  EXPECT_EQ(rope({{"rope_scaling", {{"type", nullptr}, {"factor", nullptr}}}}).policy, "none");
}

TEST(RopeConfig, TakesTwoSpellingsOfOnePolicy) {
  const RopeConfig config =
      rope({{"rope_parameters", {{"rope_type", "linear"}, {"factor", 4.0}, {"rope_theta", 1e4}}},
            {"rope_scaling", {{"type", "linear"}, {"factor", 4}}}});
  EXPECT_EQ(config.policy, "linear");
  EXPECT_THAT(config.options, ElementsAre(Pair("factor", "4")));
  EXPECT_EQ(rope({{"rope_parameters", {{"rope_type", "linear"}, {"factor", 4}}},
                  {"rope_scaling", Json::object()}})
                .policy,
            "linear");
}

TEST(RopeConfig, WarnsOfTwoBases) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(rope({{"rope_theta", 1e4}, {"rope_parameters", {{"rope_theta", 5e5}}}}).theta, 5e5);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              testing::HasSubstr("rope_theta is 10000, but rope_parameters.rope_theta is 500000"));
}

TEST(TrainedLength, IsWhereverTheConfigSaysIt) {
  const Json linear{{"type", "linear"}, {"factor", 4.0}};
  // lmsys/vicuna-13b-v1.5-16k.
  const ModelConfig vicuna = read({{"max_position_embeddings", 4096},
                                   {"max_sequence_length", 16384},
                                   {"rope_scaling", linear}});
  EXPECT_EQ(vicuna.trained_length, 16384u);
  EXPECT_EQ(vicuna.max_position, 4096u);  // what dynamic policies are told
  // The original length and a factor, and nothing else.
  const auto yarn = [](uint32_t max_position) {
    return read(
               {{"max_position_embeddings", max_position},
                {"rope_scaling",
                 {{"type", "yarn"}, {"factor", 16.0}, {"original_max_position_embeddings", 4096}}}})
        .trained_length;
  };
  EXPECT_EQ(yarn(4096), 65536u);
  EXPECT_EQ(yarn(32768), 32768u);  // the config says it
  EXPECT_EQ(read({{"max_position_embeddings", 8192}, {"rope_scaling", linear}}).trained_length,
            8192u);
  EXPECT_EQ(read({{"max_position_embeddings", 4096}, {"max_sequence_length", 2048}}).trained_length,
            4096u);
  EXPECT_EQ(
      read({{"max_position_embeddings", nullptr}, {"max_sequence_length", 1024}}).trained_length,
      1024u);  // not the 2048 that Llama's configuration class means by none
  for (const Json& nonsense : {Json("16k"), Json(1e30), Json(-1), Json(nullptr)})
    EXPECT_EQ(read({{"max_sequence_length", nonsense}}).trained_length, 128u) << nonsense.dump();
}

// Nothing reads it: the tokenizer says where a text begins.
TEST(ModelConfig, TakesAnyBos) {
  for (const Json& bos : {Json(-1), Json(32), Json::array({1}), Json("<s>")})
    EXPECT_EQ(read({{"bos_token_id", bos}}).layers, 1u) << bos.dump();
}

TEST(RopeConfig, KeepsTheOriginalLengthOfPntkRepositories) {
  const RopeConfig config = rope({{"original_max_position_embeddings", 4096}});
  EXPECT_EQ(config.policy, "none");
  EXPECT_EQ(config.original_max_position, 4096u);
  EXPECT_TRUE(config.options.empty());
}

TEST(RopeConfig, MapsTheOtherTypesToOurPolicies) {
  EXPECT_EQ(rope({{"rope_scaling", {{"type", "dynamic"}, {"factor", 2}}}}).policy, "dynamic-ntk");
  const RopeConfig yarn = rope({{"rope_scaling",
                                 {{"type", "yarn"},
                                  {"factor", 16.0},
                                  {"original_max_position_embeddings", 4096},
                                  {"finetuned", true},
                                  {"beta_fast", 32},
                                  {"truncate", false}}}});
  EXPECT_EQ(yarn.policy, "yarn");
  EXPECT_EQ(yarn.original_max_position, 4096u);
  EXPECT_THAT(yarn.options, UnorderedElementsAre(Pair("factor", "16"), Pair("beta_fast", "32"),
                                                 Pair("truncate", "false"),
                                                 Pair("original_max_position_embeddings", "4096")));
  const RopeConfig llama3 = rope({{"rope_scaling",
                                   {{"rope_type", "llama3"},
                                    {"factor", 8.0},
                                    {"low_freq_factor", 1.0},
                                    {"high_freq_factor", 4.0},
                                    {"original_max_position_embeddings", 8192}}}});
  EXPECT_EQ(llama3.policy, "llama3");
  EXPECT_EQ(llama3.options.size(), 4u);
}

TEST(RopeConfig, JoinsTheFactorsOfLongrope) {
  const RopeConfig config =
      rope({{"original_max_position_embeddings", 4096},
            {"head_dim", 4},
            {"rope_scaling",
             {{"type", "su"}, {"short_factor", {1, 1.05}}, {"long_factor", {1.5, 32.125}}}}});
  EXPECT_EQ(config.policy, "longrope");
  EXPECT_EQ(config.options.at("short_factor"), std::string("1") + abi::kItemSeparator + "1.05");
  EXPECT_EQ(config.options.at("long_factor"), std::string("1.5") + abi::kItemSeparator + "32.125");
  EXPECT_EQ(config.options.at("original_max_position_embeddings"), "4096");
}

TEST(RopeConfig, WarnsOfOptionsThatThePolicyDoesNotHave) {
  testing::internal::CaptureStderr();
  rope({{"rope_scaling", {{"type", "linear"}, {"factor", 2}, {"beta_fast", 32}}}});
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              testing::HasSubstr("type linear has no option \"beta_fast\""));
}

}  // namespace
}  // namespace ropewalk::test
