#include "core/checkpoint/config/model_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "core/base/log.h"
#include "core/checkpoint/config/refused_families.h"
#include "core/checkpoint/config/rope_config.h"
#include "core/checkpoint/formats/files.h"
#include "core/checkpoint/refuse.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

constexpr uint64_t kMaxModelConfigBytes = 1 << 20;

// Far above every model in use (the largest has 126 layers of 16384), far below what overflows.
constexpr uint64_t kMaxWidth = 1 << 20;
constexpr uint64_t kMaxLayers = 1024;
constexpr uint64_t kMaxHeads = 4096;
constexpr uint64_t kMaxHeadDim = 1024;
constexpr uint64_t kMaxPosition = 1 << 24;

// The error for a config.json of an unknown family.
struct Expected {
  std::string what, advice;
};

Expected expected_of(std::span<const ConfigFamily> families) {
  std::vector<std::string> types, names;
  for (const ConfigFamily& family : families) {
    types.push_back(
        fmt::format("{} of model_type \"{}\"", family.architectures[0], family.model_type));
    if (names.empty() || names.back() != family.name) names.emplace_back(family.name);
  }
  return {fmt::format("expected {}", fmt::join(types, " or ")),
          fmt::format("Only {} models can be run", fmt::join(names, ", "))};
}

bool has_architecture(const ConfigFamily& family, const Json& name) {
  return name.is_string() && std::ranges::find(family.architectures, name.get<std::string>()) !=
                                 family.architectures.end();
}

// By model_type, architectures or, where both are there, by both.
const ConfigFamily& find_family(const JsonFields& fields, std::span<const ConfigFamily> families) {
  const Expected expected = expected_of(families);
  const bool typed = fields.has("model_type"), named = fields.has("architectures");
  if (!typed && !named) fields.fail("model_type", fmt::format("is missing, {}", expected.what), "");
  std::vector<const ConfigFamily*> candidates;
  for (const ConfigFamily& family : families)
    if (!typed || fields.text("model_type") == family.model_type) candidates.push_back(&family);
  if (candidates.empty()) {
    const std::string found = fields.text("model_type");
    const std::string_view why = why_refused(found);
    fields.fail("model_type",
                fmt::format("found \"{}\"{}{}, {}", printable(found), why.empty() ? "" : ", which ",
                            why, expected.what),
                expected.advice);
  }
  if (!named) return *candidates.front();
  const Json& names = fields.json()["architectures"];
  for (const Json& name : names)
    for (const ConfigFamily* family : candidates)
      if (has_architecture(*family, name)) return *family;
  fields.fail("architectures",
              fmt::format("found {}, {}", printable(names.dump(), 80), expected.what),
              expected.advice);
}

// config.json as a model of the text part alone would have it.
Json text_part(const JsonFields& fields, const ConfigFamily& family) {
  Json part = fields.child("text_config").json();
  for (const char* key : {"dtype", "torch_dtype"})
    if (fields.has(key) && !part.contains(key)) part[key] = fields.json()[key];
  for (const KeyDefault& missing : family.text_defaults)
    if (!part.contains(std::string(missing.key))) part[std::string(missing.key)] = missing.value;
  return part;
}

void read_shape(const JsonFields& fields, ModelConfig& config) {
  const auto size = [&](std::string_view key, uint64_t high) {
    return static_cast<uint32_t>(fields.unsigned_integer(key, 1, high));
  };
  config.vocab_size = size("vocab_size", kMaxWidth);
  config.hidden_size = size("hidden_size", kMaxWidth);
  config.intermediate_size = size("intermediate_size", kMaxWidth);
  config.layers = size("num_hidden_layers", kMaxLayers);
  config.heads = size("num_attention_heads", kMaxHeads);
  config.kv_heads =
      fields.has("num_key_value_heads") ? size("num_key_value_heads", kMaxHeads) : config.heads;
  if (config.kv_heads > config.heads || config.heads % config.kv_heads != 0)
    fields.fail("num_key_value_heads",
                fmt::format("found {}, expected a divisor of num_attention_heads, {}",
                            config.kv_heads, config.heads),
                "");
  if (fields.has("head_dim")) {
    config.head_dim = size("head_dim", kMaxHeadDim);
  } else if (config.hidden_size % config.heads != 0) {
    fields.fail("hidden_size",
                fmt::format("found {}, expected a multiple of num_attention_heads, {}",
                            config.hidden_size, config.heads),
                "");
  } else {
    config.head_dim = config.hidden_size / config.heads;
  }
  if (config.head_dim % 2 != 0 || config.head_dim > kMaxHeadDim)
    fields.fail(
        "head_dim",
        fmt::format("found {}, expected an even number up to {}", config.head_dim, kMaxHeadDim),
        "");
}

void read_constants(const JsonFields& fields, ModelConfig& config) {
  // The first conversions lack some; the defaults are those of transformers' LlamaConfig.
  config.max_position = 2048;
  if (fields.has("max_position_embeddings"))
    config.max_position =
        static_cast<uint32_t>(fields.unsigned_integer("max_position_embeddings", 1, kMaxPosition));
  config.rms_norm_eps = fields.has("rms_norm_eps") ? fields.number("rms_norm_eps") : 1e-6;
  if (!(config.rms_norm_eps > 0 && config.rms_norm_eps <= 0.1))
    fields.fail(
        "rms_norm_eps",
        fmt::format("found {}, expected a number above 0 and up to 0.1", config.rms_norm_eps), "");
  if (fields.has("tie_word_embeddings"))
    config.tied_embeddings = fields.boolean("tie_word_embeddings");
}

// Gemma's first files say "gelu" and mean the form with tanh.
void check_activation(const JsonFields& fields, Activation activation) {
  const bool silu = activation == Activation::silu;
  for (const std::string_view key : {"hidden_act", "hidden_activation"}) {
    if (!fields.has(key)) continue;
    const std::string found = fields.text(key);
    if (silu ? found == "silu" : found == "gelu" || found == "gelu_pytorch_tanh") continue;
    fields.fail(key,
                fmt::format("found \"{}\", expected \"{}\"", printable(found),
                            silu ? "silu" : "gelu_pytorch_tanh"),
                "");
  }
}

// How many dimensions of a head are rotated.
uint32_t read_rotary_dims(const JsonFields& fields, const ConfigFamily& family, uint32_t head_dim) {
  constexpr std::string_view kKey = "partial_rotary_factor";
  if (!fields.has(kKey)) return head_dim;
  const double factor = fields.number(kKey);
  if (!family.has_key(kKey)) {
    if (factor != 1) fields.fail(kKey, fmt::format("found {}, expected 1", factor), "");
    return head_dim;
  }
  const auto dims = factor > 0 && factor <= 1 ? static_cast<uint32_t>(head_dim * factor) : 0;
  if (dims == 0 || dims % 2 != 0)
    fields.fail(kKey,
                fmt::format("found {}, expected a number from 0 to 1 that gives an even part of "
                            "head_dim, {}",
                            factor, head_dim),
                "");
  return dims;
}

// Keys that change what a model computes where a family has them. One that nobody reads would make
// another model of it.
bool is_arithmetic(std::string_view key) {
  constexpr std::string_view kNames[] = {"qk_norm",
                                         "use_qk_norm",
                                         "qk_layernorm",
                                         "clip_qkv",
                                         "num_experts",
                                         "num_local_experts",
                                         "attention_sinks",
                                         "attention_chunk_size",
                                         "attention_output_gate",
                                         "attn_temperature_tuning",
                                         "parallel_attn",
                                         "use_parallel_residual",
                                         "alibi",
                                         "rotary_pct",
                                         "rope_interleaved",
                                         "rope_local_base_freq",
                                         "logits_scaling",
                                         "query_pre_attn_scalar",
                                         "scale_emb",
                                         "scale_depth",
                                         "dim_model_base"};
  constexpr std::string_view kEnds[] = {"_multiplier", "_softcapping", "_scale"};
  return key.starts_with("no_rope") || std::ranges::find(kNames, key) != std::end(kNames) ||
         std::ranges::any_of(kEnds, [&](std::string_view end) { return key.ends_with(end); });
}

// null, false, no experts, times one.
bool is_neutral(std::string_view key, const Json& value) {
  if (value.is_null() || value == false || (value.is_structured() && value.empty())) return true;
  return value.is_number() && value == (key.starts_with("num_") ? 0 : 1);
}

void refuse_arithmetic(const JsonFields& fields, const ConfigFamily& family,
                       const RopeConfig& rope) {
  for (const auto& [key, value] : fields.json().items())
    if (is_arithmetic(key) && !is_neutral(key, value) && !family.has_key(key))
      fields.fail(key,
                  fmt::format("found {}, which {} models do not have", printable(value.dump(), 60),
                              family.name),
                  "Only what changes nothing can be there");
  if (rope.local_theta != 0 && !family.has_key("rope_local_base_freq"))
    fields.fail(
        "rope_parameters",
        fmt::format("found sliding_attention, a table which {} models do not have", family.name),
        "");
}

// A field that is a length, whatever else others may write there.
std::optional<uint32_t> length_in(const JsonFields& fields, std::string_view key) {
  const Json& json = fields.json();
  const auto value = json.find(key);
  if (value == json.end() || !value->is_number_integer()) return std::nullopt;
  const auto length = value->get<int64_t>();
  return length >= 1 && length <= int64_t{kMaxPosition}
             ? std::optional(static_cast<uint32_t>(length))
             : std::nullopt;
}

// Fine-tunes for long contexts keep max_position_embeddings of their base and say their own length
// elsewhere: Vicuna 16k in max_sequence_length, others as the original length and a factor alone.
uint32_t trained_length(const JsonFields& fields, const ModelConfig& config) {
  uint32_t length = fields.has("max_position_embeddings") ? config.max_position : 0;
  for (const std::string_view key : {"max_sequence_length", "max_seq_len", "seq_length"})
    length = std::max(length, length_in(fields, key).value_or(0));
  if (length == 0) length = config.max_position;
  const uint32_t original = config.rope.original_max_position;
  const auto factor = config.rope.options.find("factor");
  const bool only_original = original > 0 && length <= original;
  // A dynamic policy needs no tuning, so its factor promises none.
  if (!only_original || factor == config.rope.options.end() || config.rope.policy == "dynamic-ntk")
    return length;
  const double extended = original * std::stod(factor->second);
  return extended > length && extended <= kMaxPosition ? static_cast<uint32_t>(extended) : length;
}

// Ids that no row of the vocabulary has are dropped with a warning: they can never be sampled.
void add_eos(const JsonFields& fields, uint32_t vocab_size, std::vector<int32_t>& ids) {
  if (!fields.has("eos_token_id")) return;
  const Json& value = fields.json()["eos_token_id"];
  const Json list = value.is_array() ? value : Json::array({value});
  for (const Json& item : list) {
    if (!item.is_number_integer())
      fields.fail("eos_token_id",
                  fmt::format("found {}, expected an integer or a list of them",
                              printable(value.dump(), 60)),
                  "");
    const auto wide = item.get<int64_t>();
    if (wide < 0 || wide >= int64_t{vocab_size}) {
      warn(fmt::format("eos_token_id {} is not in the vocabulary of {}, ignored", item.dump(),
                       vocab_size));
      continue;
    }
    const auto id = static_cast<int32_t>(wide);
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  }
}

std::optional<Json> read_json(const ModelDirectory& directory, const JsonSource& source,
                              std::string_view name) {
  if (!directory.contains(name)) return std::nullopt;
  return parse_json(directory.read_text(name, kMaxModelConfigBytes), source);
}

void read_special_ids(const ModelDirectory& directory, const JsonFields& fields,
                      ModelConfig& config) {
  std::vector<int32_t> eos;
  add_eos(fields, config.vocab_size, eos);
  const JsonSource source{directory.path_of("generation_config.json"), ExitCode::model};
  if (const auto generation = read_json(directory, source, "generation_config.json"))
    add_eos(JsonFields(*generation, source, ""), config.vocab_size, eos);
  if (!eos.empty()) config.eos_ids = eos;
}

// PEFT saves adapters without the model they change.
void refuse_adapter(const ModelDirectory& directory) {
  constexpr std::string_view kAdapter = "adapter_config.json";
  if (directory.contains("config.json") || !directory.contains(kAdapter)) return;
  const JsonSource source{directory.path_of(kAdapter), ExitCode::model};
  const Json json = parse_json(directory.read_text(kAdapter, kMaxModelConfigBytes), source);
  const JsonFields fields(json, source, "");
  const std::string base =
      fields.has("base_model_name_or_path") ? fields.text("base_model_name_or_path") : "BASE";
  refuse(directory.path_of(kAdapter), "is a PEFT adapter, expected a model with config.json",
         fmt::format("Merge it with `ropewalk adapter merge {} --adapter {} --out MODEL`, and give "
                     "MODEL",
                     printable(base),
                     std::filesystem::path(directory.path_of(kAdapter)).parent_path().string()));
}

}  // namespace

ModelConfig parse_model_config(const Json& json, const JsonSource& source,
                               std::span<const ConfigFamily> families) {
  const JsonFields whole(json, source, "");
  const ConfigFamily& family = find_family(whole, families);
  const Json text = family.within_text_config ? text_part(whole, family) : Json();
  const JsonFields fields =
      family.within_text_config ? JsonFields(text, source, "text_config") : whole;
  ModelConfig config;
  config.model_type = family.model_type;
  read_shape(fields, config);
  read_constants(fields, config);
  check_activation(fields, family.activation);
  config.activation = family.activation;
  config.rotary_dims = read_rotary_dims(fields, family, config.head_dim);
  config.rope = read_rope_config(fields, config.rotary_dims);
  config.trained_length = trained_length(fields, config);
  refuse_arithmetic(fields, family, config.rope);
  if (family.read) family.read(fields, config);
  return config;
}

void check_family(const std::filesystem::path& path, std::span<const ConfigFamily> families) {
  const ModelDirectory directory(path);
  const JsonSource source{directory.path_of("config.json"), ExitCode::model};
  if (const auto json = read_json(directory, source, "config.json"))
    find_family(JsonFields(*json, source, ""), families);
}

ModelConfig read_model_config(const std::filesystem::path& path,
                              std::span<const ConfigFamily> families) {
  const ModelDirectory directory(path);
  const JsonSource source{directory.path_of("config.json"), ExitCode::model};
  refuse_adapter(directory);
  const Json json = parse_json(directory.read_text("config.json", kMaxModelConfigBytes), source);
  ModelConfig config = parse_model_config(json, source, families);
  read_special_ids(directory, JsonFields(json, source, ""), config);
  return config;
}

}  // namespace ropewalk
