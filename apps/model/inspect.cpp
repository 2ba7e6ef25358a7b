// inspect.cpp — `ropewalk inspect CONFIG`: what a model is, without a device.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <filesystem>
#include <map>

#include "apps/commands.h"
#include "apps/model/checkpoint_facts.h"
#include "apps/model/inspect_text.h"
#include "apps/open.h"
#include "apps/output.h"
#include "apps/progress.h"
#include "core/base/error.h"
#include "core/checkpoint/weights/checkpoint_weights.h"
#include "core/config/model_path.h"
#include "core/engine/engine.h"
#include "core/engine/format_choice.h"
#include "core/engine/memory_need.h"
#include "core/engine/rope_choice.h"
#include "core/engine/run_adapters.h"
#include "core/json/json.h"
#include "core/model/families.h"

namespace ropewalk {
namespace {

Json quantization_json(const std::optional<QuantFacts>& facts) {
  if (!facts) return nullptr;
  return {{"bits", facts->bits},
          {"group_size", facts->one_group ? -1 : static_cast<int64_t>(facts->group_size)},
          {"act_order", facts->act_order},
          {"zero_points", facts->zero_points == ZeroPoints::v2 ? "v2" : "v1"},
          {"symmetric", facts->symmetric},
          {"mixed", facts->mixed},
          {"layers", facts->layers}};
}

// A number where the text is one; only the plugin's declaration knows the option's type.
Json option_value_json(const ConfigValue& value) {
  if (value.kind == ValueKind::list) {
    Json list = Json::array();
    for (const ConfigValue& item : value.items) list.push_back(option_value_json(item));
    return list;
  }
  double number = 0;
  const char* end = value.text.data() + value.text.size();
  const auto [stop, error] = std::from_chars(value.text.data(), end, number);
  if (!value.quoted && error == std::errc{} && stop == end && std::isfinite(number)) return number;
  return value.text;
}

Json options_json(const PluginChoice& plugin) {
  Json options = Json::object();
  for (const ConfigEntry& option : plugin.options)
    options[option.key] = option_value_json(option.value);
  return options;
}

// The numbers of the layers for which `holds`.
Json layers_json(const ModelConfig& model, auto&& holds) {
  Json list = Json::array();
  for (uint32_t layer = 0; layer < model.layers; ++layer)
    if (holds(layer)) list.push_back(layer);
  return list;
}

Json rope_json(const RopeChoice& rope, const ModelConfig& model) {
  return {{"policy", rope.plugin.name},
          {"from_model", rope.from_model},
          {"theta", rope.request.theta},
          {"local_theta", rope.heads.local_theta != 0 ? Json(rope.heads.local_theta) : Json()},
          {"rotary_dims", rope.request.head_dim},
          {"layers_without", layers_json(model, [&](uint32_t i) { return !model.rotates_in(i); })},
          {"max_position_embeddings", rope.request.max_position},
          {"original_max_position_embeddings", rope.request.original_max_position},
          {"options", options_json(rope.plugin)}};
}

Json scales_json(const ModelConfig& model) {
  const Scales& scales = model.scales;
  const double attention = scales.attention != 0 ? scales.attention : 1 / std::sqrt(model.head_dim);
  return {{"embedding", scales.embedding},
          {"residual", scales.residual},
          {"attention", attention},
          {"logits", scales.logits}};
}

// null: there is none.
Json caps_json(const ModelConfig& model) {
  const auto cap = [](double value) { return value != 0 ? Json(value) : Json(); };
  return {{"scores", cap(model.scales.score_cap)}, {"logits", cap(model.scales.logit_cap)}};
}

struct KvType {
  const char* name;
  abi::DType type;
};

KvType kv_type(KvCacheType type) {
  switch (type) {
    case KvCacheType::int8:
      return {"int8", abi::DType::i8};
    case KvCacheType::f32:
      return {"f32", abi::DType::f32};
    default:
      return {"f16", abi::DType::f16};
  }
}

// What `run` would allocate. Without a device that it could run on the weights are those of the
// files.
Json memory_json(const Checkpoint& checkpoint, const Config& config, uint64_t stored) {
  const ModelConfig& model = checkpoint.config();
  const KvType kv = kv_type(config.context.kv_cache);
  const uint64_t context = config.context.length.value_or(model.trained_length);
  const uint32_t page_tokens = config.context.page_tokens;
  const uint64_t page =
      2 * model.layers * abi::KvPage{kv.type, page_tokens, model.kv_heads, model.head_dim}.bytes();
  const uint64_t pages = (context + page_tokens - 1) / page_tokens;
  Json json = {{"weights", stored},
               {"kv_cache", kv.name},
               {"cache_per_token", page / page_tokens},
               {"context_length", context},
               {"cache_at_context", page * pages}};
  try {
    Registry registry = make_registry(config);
    const CheckpointWeights weights(checkpoint);
    RuntimeSettings settings;
    settings.config = config;
    settings.adapters = adapters_of(config, checkpoint);
    const MemoryNeed need = plan_memory(registry, weights, settings);
    json["weights"] = need.plan.weights;
    json["scratch"] = need.plan.scratch;
    json["workspace"] = need.plan.workspace;
    if (need.plan.adapters) json["adapters"] = need.plan.adapters;
    json["total"] = need.plan.total();
    json["device"] = need.device;
    json["free"] = need.free;
    json["fits"] = need.fits();
  } catch (const Error& error) {
    if (error.code() == ExitCode::model) throw;  // no device would make that right
    json["error"] = error.what();
  }
  return json;
}

Json id_json(const AddedToken* token) { return token ? Json(token->id) : Json(); }

// A model without a sound tokenizer can still be inspected.
Json tokenizer_json(const Config& config, const ModelConfig& model) {
  try {
    const Tokenizer tokenizer = open_tokenizer(config);
    match_ids(tokenizer, model);  // for its warnings
    return {{"file", tokenizer.file()},
            {"kind", tokenizer.kind()},
            {"vocab_size", tokenizer.vocab_size()},
            {"bos_id", id_json(tokenizer.bos())},
            {"eos_id", id_json(tokenizer.eos())},
            {"add_bos", tokenizer.add_bos()},
            {"legacy", tokenizer.legacy()},
            {"added_tokens", tokenizer.added().all().size()}};
  } catch (const Error& error) {
    return {{"error", error.what()}};
  }
}

// As `run` and `chat` would choose it.
Json prompt_json(const Config& config) {
  try {
    const FormatChoice format = choose_format(config);
    tell_of_format(format);
    const bool chosen = format.source == FormatSource::configuration ||
                        format.source == FormatSource::chat_template;
    Json json = {{"format", format.plugin.name}, {"from", chosen ? format.from : "default"}};
    if (!chosen) json["why"] = reason_of(format);
    if (!format.plugin.options.empty()) json["options"] = options_json(format.plugin);
    return json;
  } catch (const Error& error) {
    return {{"error", error.what()}};
  }
}

Json files_json(const Checkpoint& checkpoint) {
  std::map<std::string, std::pair<uint64_t, uint64_t>> files;  // tensors and bytes
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    ++files[tensor.file].first;
    files[tensor.file].second += tensor.bytes;
  }
  Json list = Json::array();
  for (const auto& [name, sums] : files)
    list.push_back({{"name", name}, {"tensors", sums.first}, {"bytes", sums.second}});
  return list;
}

Json model_json(const Checkpoint& checkpoint, const Config& config, const CheckpointFacts& facts) {
  const ModelConfig& model = checkpoint.config();
  const uint32_t context = config.context.length.value_or(model.trained_length);
  return {
      {"architecture", model.model_type},
      {"family", family_of(model.model_type).config.name},
      {"model", config.model.string()},
      {"layers", model.layers},
      {"hidden_size", model.hidden_size},
      {"intermediate_size", model.intermediate_size},
      {"heads", model.heads},
      {"kv_heads", model.kv_heads},
      {"head_dim", model.head_dim},
      {"vocab_size", model.vocab_size},
      {"max_position_embeddings", model.max_position},
      {"trained_length", model.trained_length},
      {"rms_norm_eps", model.rms_norm_eps},
      {"tied_embeddings", model.tied_embeddings},
      {"window", model.window},
      {"sliding_layers", layers_json(model, [&](uint32_t i) { return model.window_of(i) != 0; })},
      {"scales", scales_json(model)},
      {"caps", caps_json(model)},
      {"eos_ids", model.eos_ids},
      {"parameters", facts.parameters},
      {"quantization", quantization_json(facts.quantization)},
      {"rope", rope_json(choose_rope(config, model, context), model)},
      {"memory", memory_json(checkpoint, config, facts.bytes)},
      {"tokenizer", tokenizer_json(config, model)},
      {"prompt", prompt_json(config)},
      {"files", files_json(checkpoint)}};
}

Json faults_json(const std::vector<TensorFault>& faults) {
  Json list = Json::array();
  for (const TensorFault& fault : faults)
    list.push_back(
        {{"tensor", fault.tensor->name}, {"count", fault.count}, {"first", fault.first}});
  return list;
}

Json names_json(const std::vector<const TensorInfo*>& tensors) {
  Json list = Json::array();
  for (const TensorInfo* tensor : tensors) list.push_back(tensor->name);
  return list;
}

void refuse_non_finite(const Checkpoint& checkpoint, const TensorFault& fault, size_t tensors) {
  throw Error(ExitCode::model, (checkpoint.directory() / fault.tensor->file).string(),
              fmt::format("{}: found {} values that are NaN or infinite, the first at index {}, in "
                          "{} such tensors",
                          printable(fault.tensor->name), fault.count, fault.first, tensors),
              "The file is damaged, or the model was quantised badly: download it again");
}

}  // namespace

int inspect(const InspectArguments& arguments) {
  const CommonArguments& common = arguments.common;
  const Config config = open_config(common);
  require_model(config.model, config.hub_name);
  const std::unique_ptr<Checkpoint> checkpoint = Checkpoint::open(config.model, config_families());
  const CheckpointFacts facts = gather_facts(*checkpoint);
  Json json = model_json(*checkpoint, config, facts);
  Verification verification;
  if (arguments.verify) {
    Progress progress("verifying", progress_for(common));
    verification = verify_tensors(
        *checkpoint, [&](uint64_t done, uint64_t total) { progress.show_bytes(done, total); });
    json["verify"] = {{"tensors", verification.tensors},
                      {"non_finite", faults_json(verification.non_finite)},
                      {"zero_scales", faults_json(verification.zero_scales)},
                      {"unread", names_json(facts.unread)}};
  }
  common.json ? print_json(json) : print(inspect_text(json));
  if (!verification.non_finite.empty())
    refuse_non_finite(*checkpoint, verification.non_finite.front(), verification.non_finite.size());
  return 0;
}

}  // namespace ropewalk
