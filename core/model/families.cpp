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

constexpr uint64_t kMaxWindow = 1 << 24;

uint32_t read_window(const JsonFields& fields, uint32_t absent) {
  if (!fields.json().contains("sliding_window")) return absent;
  if (!fields.has("sliding_window")) return 0;
  return static_cast<uint32_t>(fields.unsigned_integer("sliding_window", 1, kMaxWindow));
}

// transformers' defaults are those of one model of the family, not the number of heads.
void require_kv_heads(const JsonFields& fields) {
  if (!fields.has("num_key_value_heads"))
    fields.fail("num_key_value_heads", "is missing, expected an integer", "");
}

// models/mistral/configuration_mistral.py: 4096 where nothing is said, as in the first 7B.
void read_mistral(const JsonFields& fields, ModelConfig& config) {
  require_kv_heads(fields);
  config.biases = Biases::none;
  config.window = read_window(fields, 4096);
}

// common name, model_type, architectures, keys of its own | graph
constexpr Family kFamilies[] = {
    {{"Llama", "llama", kLlama, nullptr}, build_decoder},
    {{"Mistral", "mistral", kMistral, read_mistral}, build_decoder},
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
