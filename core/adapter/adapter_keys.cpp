#include "core/adapter/adapter_keys.h"

#include <array>

namespace ropewalk {
namespace {

constexpr std::string_view kPrefix = "base_model.model.";

struct Row {
  AdapterRole role;
  std::string_view part;    // behind the module
  std::string_view ending;  // behind that and the adapter's name
};
// As PEFT writes them.
constexpr std::array<Row, 7> kRows{
    {{AdapterRole::a, ".lora_A", ".weight"},
     {AdapterRole::b, ".lora_B", ".weight"},
     {AdapterRole::b_bias, ".lora_B", ".bias"},
     {AdapterRole::table_a, ".lora_embedding_A", ""},
     {AdapterRole::table_b, ".lora_embedding_B", ""},
     {AdapterRole::magnitude, ".lora_magnitude_vector", ""},
     {AdapterRole::token_rows, ".token_adapter.trainable_tokens_delta", ""}}};

// "" or ".NAME"; nullopt: neither.
std::optional<std::string> adapter_name(std::string_view text) {
  if (text.empty()) return std::string();
  if (text[0] != '.' || text.size() == 1 || text.find('.', 1) != std::string_view::npos)
    return std::nullopt;
  return std::string(text.substr(1));
}

std::optional<AdapterKey> parse_role(std::string_view name, const Row& row) {
  const size_t at = name.rfind(row.part);
  if (at == std::string_view::npos || at == 0) return std::nullopt;
  std::string_view rest = name.substr(at + row.part.size());
  // Old versions put `.weight` behind the magnitude too.
  const std::string_view ending = row.role == AdapterRole::magnitude && rest.ends_with(".weight")
                                      ? std::string_view(".weight")
                                      : row.ending;
  if (!rest.ends_with(ending)) return std::nullopt;
  rest.remove_suffix(ending.size());
  const auto adapter = adapter_name(rest);
  if (!adapter || (!rest.empty() && ending.empty() && (rest == ".weight" || rest == ".bias")))
    return std::nullopt;
  return AdapterKey{row.role, std::string(name.substr(0, at)), *adapter};
}

// MODULE.weight, MODULE.base_layer.weight or MODULE.modules_to_save.NAME.weight; the same of a
// bias.
std::optional<AdapterKey> parse_replacement(std::string_view name) {
  constexpr std::string_view kBase = ".base_layer", kSaved = ".modules_to_save.";
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return std::nullopt;
  const std::string_view ending = name.substr(dot);
  if (ending != ".weight" && ending != ".bias") return std::nullopt;
  std::string_view module = name.substr(0, dot);
  std::string adapter;
  if (const size_t at = module.find(kSaved); at != std::string_view::npos) {
    adapter = module.substr(at + kSaved.size());
    module = module.substr(0, at);
  }
  if (module.ends_with(kBase)) module.remove_suffix(kBase.size());
  if (module.empty() || module.find("lora_") != std::string_view::npos ||
      module.find(".original_module") != std::string_view::npos)
    return std::nullopt;
  return AdapterKey{AdapterRole::replacement, std::string(module) + std::string(ending), adapter};
}

}  // namespace

std::optional<AdapterKey> parse_adapter_key(std::string_view name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  for (const Row& row : kRows)
    if (auto key = parse_role(name, row)) return key;
  return parse_replacement(name);
}

std::string adapter_key(AdapterRole role, std::string_view target) {
  std::string name = std::string(kPrefix) + std::string(target);
  for (const Row& row : kRows)
    if (row.role == role) return name + std::string(row.part) + std::string(row.ending);
  return name;
}

}  // namespace ropewalk
