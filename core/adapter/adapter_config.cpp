#include "core/adapter/adapter_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/json/json.h"

namespace ropewalk {
namespace {

constexpr uint64_t kMaxConfiguredRank = 512;
constexpr size_t kMaxPatterns = 4096;
constexpr uint64_t kMaxTokens = 1 << 20;

// Initialisations that take something out of the base model and put it into A and B.
struct Initialisation {
  std::string_view value, name;
};
constexpr std::array<Initialisation, 5> kChangesBase{{{"pissa", "PiSSA"},
                                                      {"olora", "OLoRA"},
                                                      {"corda", "CorDA"},
                                                      {"loftq", "LoftQ"},
                                                      {"lora_ga", "LoRA-GA"}}};

// Fields that make of a LoRA something that is not s B A, when they say something.
struct Variant {
  std::string_view field, name;
};
constexpr std::array<Variant, 12> kVariants{
    {{"fan_in_fan_out", "made for weights that are stored transposed"},
     {"layer_replication", "made for a base whose layers are repeated"},
     {"alora_invocation_tokens", "an aLoRA, which acts behind certain tokens only"},
     {"use_qalora", "a QA-LoRA"},
     {"use_bdlora", "a BD-LoRA"},
     {"arrow_config", "a mixture routed by Arrow"},
     {"use_kasa", "a KaSA"},
     {"kasa_config", "a KaSA"},
     {"monteclora_config", "a MonteCLoRA"},
     {"target_parameters", "made for parameters outside of linear layers"},
     {"megatron_config", "made for Megatron's layers"},
     {"bdlora_config", "a BD-LoRA"}}};

// Fields that do not change what the adapter computes.
constexpr std::array<std::string_view, 21> kSilent{
    {"task_type",        "inference_mode", "revision",       "lora_dropout",
     "auto_mapping",     "peft_version",   "target_modules", "exclude_modules",
     "layers_pattern",   "loftq_config",   "eva_config",     "corda_config",
     "lora_ga_config",   "velora_config",  "megatron_core",  "qalora_group_size",
     "runtime_config",   "bias",           "lora_bias",      "layers_to_transform",
     "init_lora_weights"}};

constexpr std::array<std::string_view, 12> kRead{
    {"peft_type", "base_model_name_or_path", "r", "lora_alpha", "use_rslora", "use_dora",
     "rank_pattern", "alpha_pattern", "modules_to_save", "trainable_token_indices",
     "ensure_weight_tying", "fan_in_fan_out"}};

template <class List>
bool contains(const List& list, std::string_view key) {
  return std::ranges::find(list, key) != list.end();
}

// null, false and what is empty.
bool says_nothing(const Json& value) {
  return value.is_null() || value == false || (value.is_structured() && value.empty()) ||
         (value.is_string() && value.get_ref<const std::string&>().empty());
}

void refuse_other_types(const JsonFields& fields) {
  const std::string type = fields.text("peft_type");
  if (type != "LORA")
    fields.fail("peft_type", fmt::format("found \"{}\", expected \"LORA\"", printable(type)),
                "Only LoRA adapters can be read: merge this one with PEFT itself");
}

void refuse_changed_base(const JsonFields& fields) {
  const Json& members = fields.json();
  if (!members.contains("init_lora_weights") || !members["init_lora_weights"].is_string()) return;
  const std::string value = members["init_lora_weights"].get<std::string>();
  for (const Initialisation& known : kChangesBase)
    if (value == known.value || value.starts_with(std::string(known.value) + "_niter"))
      fields.fail(
          "init_lora_weights",
          fmt::format("found \"{}\": {} changed the base model in training, so the adapter "
                      "does not belong to the published one",
                      printable(value), known.name),
          "Save it with PEFT's path_initial_model_for_weight_conversion, which makes a plain "
          "LoRA of it");
}

void refuse_variants(const JsonFields& fields) {
  const Json& members = fields.json();
  for (const Variant& variant : kVariants) {
    const std::string field(variant.field);
    if (members.contains(field) && !says_nothing(members[field]))
      fields.fail(field,
                  fmt::format("found {}: the adapter is {}, expected a plain LoRA or DoRA",
                              printable(members[field].dump(), 60), variant.name),
                  "Merge it with PEFT itself");
  }
}

double alpha_of(const JsonFields& fields, std::string_view key) {
  const double alpha = fields.number(key);
  if (std::abs(alpha) > std::numeric_limits<float>::max())
    fields.fail(key, fmt::format("found {}, expected a number that f32 can hold", alpha), "");
  return alpha;
}

template <class Value, class Read>
std::vector<AdapterConfig::Exception<Value>> read_pattern(const JsonFields& fields,
                                                          std::string_view name, const Read& read) {
  std::vector<AdapterConfig::Exception<Value>> exceptions;
  if (!fields.has(name)) return exceptions;
  const JsonFields patterns = fields.child(name);
  if (patterns.json().size() > kMaxPatterns)
    fields.fail(
        name, fmt::format("has {} keys, expected at most {}", patterns.json().size(), kMaxPatterns),
        "");
  for (const auto& [key, value] : patterns.json().items()) {
    const auto pattern = ModulePattern::parse(key);
    if (!pattern)
      patterns.fail(key, "is a pattern of more than letters, digits, `.`, `\\.`, `.*` and `^`",
                    "Write the modules out by name");
    exceptions.push_back({key, *pattern, read(patterns, key)});
  }
  return exceptions;
}

std::vector<std::string> read_names(const JsonFields& fields, std::string_view name) {
  std::vector<std::string> names;
  if (!fields.has(name)) return names;
  for (const Json& item : fields.json()[std::string(name)]) {
    if (!item.is_string()) fields.fail(name, "expected a list of module names", "");
    names.push_back(item.get<std::string>());
  }
  return names;
}

std::vector<uint32_t> read_tokens(const JsonFields& fields, std::string_view name,
                                  const Json& list) {
  std::vector<uint32_t> ids;
  for (const Json& item : list) {
    if (!item.is_number_unsigned() || item.get<uint64_t>() > kMaxTokens)
      fields.fail(name, fmt::format("found {}, expected token ids", printable(item.dump(), 40)),
                  "");
    ids.push_back(item.get<uint32_t>());
  }
  return ids;
}

std::map<std::string, std::vector<uint32_t>> read_token_rows(const JsonFields& fields) {
  constexpr std::string_view kName = "trainable_token_indices";
  std::map<std::string, std::vector<uint32_t>> rows;
  if (!fields.has(kName)) return rows;
  const Json& value = fields.json()[std::string(kName)];
  if (value.is_array()) {
    rows.emplace("", read_tokens(fields, kName, value));
    return rows;
  }
  const JsonFields modules = fields.child(kName);
  for (const auto& [module, list] : modules.json().items())
    rows.emplace(module, read_tokens(modules, module, list));
  return rows;
}

std::vector<std::string> unknown_fields(const Json& members) {
  std::vector<std::string> unknown;
  for (const auto& [key, value] : members.items()) {
    const bool variant = std::ranges::find(kVariants, key, &Variant::field) != kVariants.end();
    if (!variant && !contains(kSilent, key) && !contains(kRead, key) && !says_nothing(value))
      unknown.push_back(key);
  }
  return unknown;
}

}  // namespace

uint32_t AdapterConfig::rank_of(std::string_view module) const {
  for (const auto& exception : rank_pattern)
    if (exception.pattern.matches(module)) return exception.value;
  return rank;
}

double AdapterConfig::scale_of(std::string_view module) const {
  double value = alpha;
  for (const auto& exception : alpha_pattern)
    if (exception.pattern.matches(module)) {
      value = exception.value;
      break;
    }
  const double r = rank_of(module);
  return rslora ? value / std::sqrt(r) : value / r;
}

AdapterConfig parse_adapter_config(const Json& json, const JsonSource& source) {
  const JsonFields fields(json, source, "");
  refuse_other_types(fields);
  refuse_changed_base(fields);
  refuse_variants(fields);
  const auto rank_in = [](const JsonFields& in, std::string_view key) {
    return static_cast<uint32_t>(in.unsigned_integer(key, 1, kMaxConfiguredRank));
  };
  AdapterConfig config;
  config.file = source.file;
  if (fields.has("base_model_name_or_path"))
    config.base_name = fields.text("base_model_name_or_path");
  if (fields.has("r")) config.rank = rank_in(fields, "r");
  if (fields.has("lora_alpha")) config.alpha = alpha_of(fields, "lora_alpha");
  config.rslora = fields.has("use_rslora") && fields.boolean("use_rslora");
  config.dora = fields.has("use_dora") && fields.boolean("use_dora");
  config.ties_tables = fields.has("ensure_weight_tying") && fields.boolean("ensure_weight_tying");
  config.rank_pattern = read_pattern<uint32_t>(fields, "rank_pattern", rank_in);
  config.alpha_pattern = read_pattern<double>(fields, "alpha_pattern", alpha_of);
  config.modules_to_save = read_names(fields, "modules_to_save");
  config.token_rows = read_token_rows(fields);
  config.ignored = unknown_fields(json);
  return config;
}

}  // namespace ropewalk
