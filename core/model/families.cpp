#include "core/model/families.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <string_view>

#include "core/json/json.h"
#include "core/model/decoder.h"

namespace ropewalk {
namespace {

// The first conversions of Llama 1 wrote the second.
constexpr std::string_view kLlama[] = {"LlamaForCausalLM", "LLaMAForCausalLM"};
constexpr std::string_view kMistral[] = {"MistralForCausalLM"};
constexpr std::string_view kQwen2[] = {"Qwen2ForCausalLM"};
constexpr std::string_view kQwen3[] = {"Qwen3ForCausalLM"};
constexpr std::string_view kPhi3[] = {"Phi3ForCausalLM"};
constexpr std::string_view kGranite[] = {"GraniteForCausalLM"};
constexpr std::string_view kGemma[] = {"GemmaForCausalLM"};
constexpr std::string_view kGemma2[] = {"Gemma2ForCausalLM"};
constexpr std::string_view kGemma3[] = {"Gemma3ForCausalLM"};
constexpr std::string_view kGemma3Pictures[] = {"Gemma3ForConditionalGeneration"};

constexpr std::string_view kPhi3Keys[] = {"partial_rotary_factor"};
constexpr std::string_view kGraniteKeys[] = {"embedding_multiplier", "residual_multiplier",
                                             "attention_multiplier", "logits_scaling"};
constexpr std::string_view kOlmo2[] = {"Olmo2ForCausalLM"};
constexpr std::string_view kSmolLm3[] = {"SmolLM3ForCausalLM"};
constexpr std::string_view kSmolLm3Keys[] = {"no_rope_layers", "no_rope_layer_interval"};
constexpr std::string_view kGemma2Keys[] = {"attn_logit_softcapping", "final_logit_softcapping",
                                            "query_pre_attn_scalar"};
constexpr std::string_view kGemma3Keys[] = {"rope_local_base_freq", "query_pre_attn_scalar"};
// Defaults of transformers' class Gemma3TextConfig. The 4B model's config.json leaves them out.
constexpr KeyDefault kGemma3Defaults[] = {
    {"vocab_size", 262208},   {"num_attention_heads", 8},          {"num_key_value_heads", 4},
    {"head_dim", 256},        {"max_position_embeddings", 131072}, {"rms_norm_eps", 1e-6},
    {"sliding_window", 4096},
};

constexpr uint64_t kMaxWindow = 1 << 24;

uint32_t read_window(const JsonFields& fields, uint32_t absent) {
  if (!fields.json().contains("sliding_window")) return absent;
  if (!fields.has("sliding_window")) return 0;
  return static_cast<uint32_t>(fields.unsigned_integer("sliding_window", 1, kMaxWindow));
}

// Which layers slide.
std::vector<bool> read_layer_types(const JsonFields& fields, uint32_t layers) {
  constexpr std::string_view kKey = "layer_types";
  const Json& types = fields.json()[std::string(kKey)];
  std::vector<bool> slides;
  for (const Json& type : types) {
    const std::string text = type.is_string() ? type.get<std::string>() : "";
    slides.push_back(text == "sliding_attention");
    if (!slides.back() && text != "full_attention")
      fields.fail(kKey,
                  fmt::format("found {}, expected full_attention or sliding_attention",
                              printable(type.dump(), 60)),
                  "");
  }
  if (slides.size() != layers)
    fields.fail(kKey,
                fmt::format("has {} items, expected num_hidden_layers, {}", slides.size(), layers),
                "");
  return slides;
}

// transformers' defaults are those of one model of the family, not what other keys give.
void require(const JsonFields& fields, std::string_view key) {
  if (!fields.has(key)) fields.fail(key, "is missing, expected an integer", "");
}

// models/mistral/configuration_mistral.py: 4096 where nothing is said, as in the first 7B.
void read_mistral(const JsonFields& fields, ModelConfig& config) {
  require(fields, "num_key_value_heads");
  config.biases = Biases::none;
  config.window = read_window(fields, 4096);
}

// models/qwen2/configuration_qwen2.py: a window is there only where it is used, and then in the
// layers from max_window_layers on, unless layer_types names each.
void read_qwen_window(const JsonFields& fields, ModelConfig& config) {
  if (!fields.has("use_sliding_window") || !fields.boolean("use_sliding_window")) return;
  const uint64_t first = fields.has("max_window_layers")
                             ? fields.unsigned_integer("max_window_layers", 0, UINT32_MAX)
                             : 28;
  for (uint32_t i = 0; i < config.layers; ++i) config.slides.push_back(i >= first);
  if (fields.has("layer_types")) config.slides = read_layer_types(fields, config.layers);
  if (std::ranges::count(config.slides, true) > 0) config.window = read_window(fields, 4096);
}

// Qwen 1.5, 2 and 2.5.
void read_qwen2(const JsonFields& fields, ModelConfig& config) {
  require(fields, "num_key_value_heads");
  config.biases = Biases::of_qkv;
  read_qwen_window(fields, config);
}

Biases read_attention_bias(const JsonFields& fields) {
  const bool biased = fields.has("attention_bias") && fields.boolean("attention_bias");
  return biased ? Biases::of_attention : Biases::none;
}

// models/qwen3/modeling_qwen3.py
void read_qwen3(const JsonFields& fields, ModelConfig& config) {
  require(fields, "num_key_value_heads");
  require(fields, "head_dim");
  config.biases = read_attention_bias(fields);
  config.query_norms = QueryNorms::of_heads;
  read_qwen_window(fields, config);
}

// models/phi3/modeling_phi3.py: Phi 3, 3.5 and 4. The first ones have a window.
void read_phi3(const JsonFields& fields, ModelConfig& config) {
  config.biases = Biases::none;
  config.fuses_layers = true;
  config.window = read_window(fields, 0);
}

double read_scale(const JsonFields& fields, std::string_view key, double absent) {
  if (!fields.has(key)) return absent;
  const double scale = fields.number(key);
  if (!(scale > 0 && scale <= 1e6))
    fields.fail(key, fmt::format("found {}, expected a number above 0 and up to 1e6", scale), "");
  return scale;
}

// models/granite/modeling_granite.py: Granite 3. The scores are not divided by sqrt(head_dim).
void read_granite(const JsonFields& fields, ModelConfig& config) {
  config.scales = {.embedding = read_scale(fields, "embedding_multiplier", 1),
                   .residual = read_scale(fields, "residual_multiplier", 1),
                   .attention = read_scale(fields, "attention_multiplier", 1),
                   .logits = 1 / read_scale(fields, "logits_scaling", 1)};
}

// A number as the checkpoint's type holds it: transformers multiplies in that type.
double rounded_to_dtype(const JsonFields& fields, double value) {
  const char* key = fields.has("dtype") ? "dtype" : "torch_dtype";
  const std::string dtype = fields.has(key) ? fields.text(key) : "float32";
  const int bits = dtype == "bfloat16" ? 8 : dtype == "float16" ? 11 : 24;
  int exponent = 0;
  const double fraction = std::frexp(value, &exponent);
  return std::ldexp(std::nearbyint(std::ldexp(fraction, bits)), exponent - bits);
}

// models/gemma/modeling_gemma.py. The head is the table, whatever config.json says.
void read_gemma(const JsonFields& fields, ModelConfig& config) {
  require(fields, "num_key_value_heads");
  require(fields, "head_dim");
  config.biases = Biases::none;
  config.norms_add_one = true;
  config.tied_embeddings = true;
  config.scales.embedding = rounded_to_dtype(fields, std::sqrt(config.hidden_size));
}

// 0 where null says that there is none.
double read_cap(const JsonFields& fields, std::string_view key, double absent) {
  if (!fields.json().contains(key)) return absent;
  return fields.has(key) ? read_scale(fields, key, absent) : 0;
}

// models/gemma2/modeling_gemma2.py: every other layer slides, from the first on.
void read_gemma2(const JsonFields& fields, ModelConfig& config) {
  read_gemma(fields, config);
  config.norms = Norms::before_and_after;
  config.scales.attention = 1 / std::sqrt(read_scale(fields, "query_pre_attn_scalar", 256));
  config.scales.score_cap = read_cap(fields, "attn_logit_softcapping", 50);
  config.scales.logit_cap = read_cap(fields, "final_logit_softcapping", 30);
  config.window = read_window(fields, 4096);
  for (uint32_t i = 0; i < config.layers; ++i) config.slides.push_back(i % 2 == 0);
  if (fields.has("layer_types")) config.slides = read_layer_types(fields, config.layers);
}

// models/gemma3/modeling_gemma3.py: five of six layers slide, with a RoPE table of their own.
void read_gemma3(const JsonFields& fields, ModelConfig& config) {
  read_gemma(fields, config);
  if (fields.has("use_bidirectional_attention") && fields.boolean("use_bidirectional_attention"))
    fields.fail("use_bidirectional_attention", "found true, expected false",
                "A model that reads its text backwards too makes embeddings, not replies");
  config.biases = read_attention_bias(fields);
  config.norms = Norms::before_and_after;
  config.query_norms = QueryNorms::of_heads;
  config.scales.attention = 1 / std::sqrt(read_scale(fields, "query_pre_attn_scalar", 256));
  config.window = read_window(fields, 4096);
  uint64_t pattern = 6;
  for (const std::string_view key : {"_sliding_window_pattern", "sliding_window_pattern"})
    if (fields.has(key)) pattern = fields.unsigned_integer(key, 1, UINT32_MAX);
  for (uint32_t i = 0; i < config.layers; ++i) config.slides.push_back((i + 1) % pattern != 0);
  if (fields.has("layer_types")) config.slides = read_layer_types(fields, config.layers);
  if (!fields.has("rope_theta") && !fields.has("rope_parameters")) config.rope.theta = 1e6;
  if (config.rope.local_theta == 0) config.rope.local_theta = 1e4;
}

// models/olmo2/modeling_olmo2.py: attention and MLP read the residual as it is.
void read_olmo2(const JsonFields& fields, ModelConfig& config) {
  config.biases = read_attention_bias(fields);
  config.norms = Norms::after;
  config.query_norms = QueryNorms::of_rows;
}

// models/smollm3/modeling_smollm3.py: every fourth layer has no rope, or those that are 0 in
// no_rope_layers.
void read_smollm3(const JsonFields& fields, ModelConfig& config) {
  require(fields, "num_key_value_heads");
  config.biases = Biases::none;
  if (!fields.has("tie_word_embeddings")) config.tied_embeddings = true;
  if (fields.has("use_sliding_window") && fields.boolean("use_sliding_window"))
    fields.fail("use_sliding_window", "found true, expected false", "");
  const uint64_t interval = fields.has("no_rope_layer_interval")
                                ? fields.unsigned_integer("no_rope_layer_interval", 1, UINT32_MAX)
                                : 4;
  for (uint32_t i = 0; i < config.layers; ++i) config.rotates.push_back((i + 1) % interval != 0);
  if (!fields.has("no_rope_layers")) return;
  const std::vector<double> told = fields.numbers("no_rope_layers");
  if (told.size() != config.layers)
    fields.fail(
        "no_rope_layers",
        fmt::format("has {} items, expected num_hidden_layers, {}", told.size(), config.layers),
        "");
  for (uint32_t i = 0; i < config.layers; ++i) config.rotates[i] = told[i] != 0;
}

// common name, model_type, architectures, keys of its own | graph
constexpr Family kFamilies[] = {
    {{"Llama", "llama", kLlama, nullptr}, build_decoder},
    {{"Mistral", "mistral", kMistral, read_mistral}, build_decoder},
    {{"Qwen2", "qwen2", kQwen2, read_qwen2}, build_decoder},
    {{"Qwen3", "qwen3", kQwen3, read_qwen3}, build_decoder},
    {{"Phi3", "phi3", kPhi3, read_phi3, kPhi3Keys}, build_decoder},
    {{"Granite", "granite", kGranite, read_granite, kGraniteKeys}, build_decoder},
    {{"SmolLM3", "smollm3", kSmolLm3, read_smollm3, kSmolLm3Keys}, build_decoder},
    {{"OLMo2", "olmo2", kOlmo2, read_olmo2}, build_decoder},
    {{"Gemma", "gemma", kGemma, read_gemma, {}, Activation::gelu_tanh}, build_decoder},
    {{"Gemma2", "gemma2", kGemma2, read_gemma2, kGemma2Keys, Activation::gelu_tanh}, build_decoder},
    {{"Gemma3", "gemma3_text", kGemma3, read_gemma3, kGemma3Keys, Activation::gelu_tanh},
     build_decoder},
    {{"Gemma3", "gemma3", kGemma3Pictures, read_gemma3, kGemma3Keys, Activation::gelu_tanh, true,
      kGemma3Defaults},
     build_decoder},
};

constexpr auto kConfigFamilies = [] {
  std::array<ConfigFamily, std::size(kFamilies)> configs{};
  std::ranges::transform(kFamilies, configs.begin(), &Family::config);
  return configs;
}();

}  // namespace

std::span<const Family> families() { return kFamilies; }

std::span<const ConfigFamily> config_families() { return kConfigFamilies; }

const Family& family_of(std::string_view model_type) {
  for (const Family& family : kFamilies)
    if (family.config.model_type == model_type) return family;
  throw std::logic_error("no family of model_type \"" + std::string(model_type) + "\"");
}

ModelGraph build_model(const WeightSource& weights, const ModelOptions& options) {
  return family_of(weights.config().model_type).build(weights, options);
}

}  // namespace ropewalk
