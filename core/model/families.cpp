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

// common name, model_type, architectures, keys of its own | graph
constexpr Family kFamilies[] = {
    {{"Llama", "llama", kLlama, nullptr}, build_decoder},
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
