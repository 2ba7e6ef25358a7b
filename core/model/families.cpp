#include "core/model/families.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string_view>

#include "core/model/decoder.h"

namespace ropewalk {
namespace {

// The first conversions of Llama 1 wrote the second.
constexpr std::string_view kLlama[] = {"LlamaForCausalLM", "LLaMAForCausalLM"};
constexpr std::string_view kMistral[] = {"MistralForCausalLM"};
constexpr std::string_view kQwen2[] = {"Qwen2ForCausalLM"};
constexpr std::string_view kQwen3[] = {"Qwen3ForCausalLM"};

constexpr uint64_t kMaxWindow = 1 << 24;

uint32_t read_window(const JsonFields& fields, uint32_t absent) {
  if (!fields.json().contains("sliding_window")) return absent;
  if (!fields.has("sliding_window")) return 0;
  return static_cast<uint32_t>(fields.unsigned_integer("sliding_window", 1, kMaxWindow));
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
  bool slides = first < config.layers;
  if (fields.has("layer_types")) {
    const Json& types = fields.json()["layer_types"];
    slides = std::ranges::find(types, Json("sliding_attention")) != types.end();
  }
  if (slides) config.window = read_window(fields, 4096);
}

// Qwen 1.5, 2 and 2.5.
void read_qwen2(const JsonFields& fields, ModelConfig& config) {
  require(fields, "num_key_value_heads");
  config.biases = Biases::of_qkv;
  read_qwen_window(fields, config);
}

// models/qwen3/modeling_qwen3.py
void read_qwen3(const JsonFields& fields, ModelConfig& config) {
  require(fields, "num_key_value_heads");
  require(fields, "head_dim");
  const bool biased = fields.has("attention_bias") && fields.boolean("attention_bias");
  config.biases = biased ? Biases::of_attention : Biases::none;
  config.norms_heads = true;
  read_qwen_window(fields, config);
}

// common name, model_type, architectures, keys of its own | graph
constexpr Family kFamilies[] = {
    {{"Llama", "llama", kLlama, nullptr}, build_decoder},
    {{"Mistral", "mistral", kMistral, read_mistral}, build_decoder},
    {{"Qwen2", "qwen2", kQwen2, read_qwen2}, build_decoder},
    {{"Qwen3", "qwen3", kQwen3, read_qwen3}, build_decoder},
};

constexpr auto kConfigFamilies = [] {
  std::array<ConfigFamily, std::size(kFamilies)> configs{};
  std::ranges::transform(kFamilies, configs.begin(), &Family::config);
  return configs;
}();

}  // namespace

std::span<const Family> families() { return kFamilies; }

std::span<const ConfigFamily> config_families() { return kConfigFamilies; }

ModelGraph build_model(const WeightSource& weights, const ModelOptions& options) {
  const std::string_view wanted = weights.config().model_type;
  for (const Family& family : kFamilies)
    if (family.config.model_type == wanted) return family.build(weights, options);
  throw std::logic_error("build_model: no family of model_type \"" + std::string(wanted) + "\"");
}

}  // namespace ropewalk
