#include "core/serve/request/common_fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "core/base/error.h"
#include "core/engine/run_adapters.h"
#include "core/json/json.h"
#include "core/serve/api_error.h"
#include "core/serve/request/model_names.h"
#include "core/serve/request/other_fields.h"
#include "core/serve/request/sampling_fields.h"
#include "core/serve/request/token_fields.h"

namespace ropewalk::serve {
namespace {

constexpr int64_t kMaxChoices = 16;
constexpr uint64_t kMaxReplies = 128;
constexpr size_t kMaxStops = 64;
constexpr size_t kMaxStopBytes = 1024;
constexpr int64_t kMaxTokens = 1 << 24;
constexpr size_t kMaxSuggestions = 32;

uint64_t random_seed() {
  uint64_t seed = 0;
  while (getrandom(&seed, sizeof seed, 0) < 0 && errno == EINTR) {
  }
  // JSON numbers are exact in every client up to here.
  return seed >> 11;
}

}  // namespace

bool is_configured(const Config& config, std::string_view path) {
  const ConfigValue* value = &config.tree;
  while (value && !path.empty()) {
    const size_t end = std::min(path.find('.'), path.size());
    value = value->find(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return value != nullptr;
}

Request Ask::reply_request(uint32_t index) const {
  Request made = request;
  const Prompt& prompt = prompts[index / best_of];
  made.prompt_ids = prompt.ids;
  made.max_new_tokens = prompt.max_new_tokens;
  made.seed = request.seed + index % best_of;
  return made;
}

CommonFields::CommonFields(Fields& fields, const ServedModel& model, Ask& ask)
    : fields_(fields), model_(model), ask_(ask) {}

void CommonFields::read() {
  read_model();
  read_counts();
  read_stops();
  read_seed();
  read_stream();
  ask_.cache_salt = fields_.text({"cache_salt"}, 128).value_or("");
  ask_.token_ids_for_texts = fields_.boolean({"return_tokens_as_token_ids"}).value_or(false);
  read_own();
  read_sampling();
  check_other_fields(fields_, model_.config.serve.tolerate, ask_.told);
}

// The adapter is the field's, else that of the model's name, else the configuration's.
void CommonFields::read_model() {
  const std::optional<std::string> name = fields_.text({"model"}, 512);
  ask_.model = name.value_or(model_.name);
  const std::optional<std::string> adapter = fields_.text({"adapter"}, 64);
  if (name) {
    const std::optional<NamedModel> named = named_model(*name, model_);
    if (!named)
      throw ApiError(404, "model_not_found",
                     fmt::format("model: found \"{}\", this server has {}.", printable(*name, 64),
                                 fmt::join(model_names(model_), ", ")),
                     "model");
    ask_.request.adapter = named->adapter;
  }
  if (!adapter) return;
  const std::optional<uint32_t> index = find_adapter(model_.config, *adapter);
  if (!index)
    throw ApiError(
        400, "adapter_not_found",
        fmt::format("adapter: found \"{}\", this server has {}.", printable(*adapter, 64),
                    fmt::join(adapter_names(model_.config), ", ")),
        "adapter");
  if (ask_.request.adapter && *ask_.request.adapter != *index)
    throw ApiError(400, "invalid_value",
                   fmt::format("adapter: found \"{}\", but model says \"{}\".",
                               printable(*adapter, 64), printable(*name, 64)),
                   "adapter");
  ask_.request.adapter = *index;
}

void CommonFields::read_counts() {
  ask_.n = static_cast<uint32_t>(fields_.integer({"n"}, 1, kMaxChoices).value_or(1));
  ask_.best_of = ask_.n;
}

void CommonFields::read_stops() {
  // The configured ones stand in ask_.request.stops already.
  const auto [name, value] = fields_.find({"stop", "stopping_strings", "stop_sequence"});
  if (value)
    for (std::string& stop : read_texts(name, *value, kMaxStops, kMaxStopBytes))
      ask_.request.stops.push_back(std::move(stop));
  const auto [ids_name, ids] = fields_.find({"stop_token_ids"});
  if (!ids) return;
  for (const double id : read_id_list(ids_name, *ids, model_.vocab))
    ask_.request.stop_ids.push_back(static_cast<int32_t>(id));
  if (ask_.request.stop_ids.size() > kMaxStops)
    refuse_value(ids_name, fmt::format("found {} ids, expected at most {}",
                                       ask_.request.stop_ids.size(), kMaxStops));
}

void CommonFields::read_seed() {
  const auto [name, value] = fields_.find({"seed", "sampler_seed"});
  uint64_t& seed = ask_.request.seed;
  if (value && value->is_number_unsigned()) {
    seed = value->get<uint64_t>();
    return;
  }
  if (value) {
    const std::optional<int64_t> number = exact_integer(*value);
    if (!number) refuse_type(name, *value, "an integer from -2^63 to 2^64-1");
    seed = static_cast<uint64_t>(*number);
    if (*number != -1) return;
  }
  seed = is_configured(model_.config, "generation.seed") ? model_.config.generation.seed
                                                         : random_seed();
}

void CommonFields::read_stream() {
  ask_.stream = fields_.boolean({"stream"}).value_or(false);
  const auto [name, value] = fields_.find({"stream_options"});
  if (!value) return;
  Fields options(*value, name + ".");
  const bool at_end = options.boolean({"include_usage"}).value_or(false);
  const bool always = options.boolean({"continuous_usage_stats"}).value_or(false);
  options.find({"include_obfuscation"});
  for (const std::string& member : options.unread()) ask_.told.ignored.push_back(member);
  if (at_end) ask_.usage = always ? UsageInStream::always : UsageInStream::at_end;
}

void CommonFields::read_own() {
  const auto [name, value] = fields_.find({"ropewalk"});
  if (!value) return;
  Fields own(*value, name + ".");
  strict_ = own.boolean({"strict"}).value_or(false);
  own_sampling_ = own.find({"sampling"}).value;
  const int64_t longest = int64_t{model_.config.serve.max_request_seconds} * 1000;
  if (const auto deadline = own.integer({"deadline_ms"}, 1, longest))
    ask_.deadline = std::chrono::milliseconds(*deadline);
  if (const auto kind = own.text({"logprobs"}, 16)) {
    if (*kind != "raw" && *kind != "final")
      refuse_value("ropewalk.logprobs",
                   fmt::format("found {}, expected raw or final", printable(*kind, 64)));
    if (*kind == "final") ask_.logprobs_of = LogprobsOf::choice;
  }
  if (const auto truncate = own.text({"truncate"}, 16)) {
    if (*truncate != "drop-oldest" && *truncate != "refuse")
      refuse_value("ropewalk.truncate", fmt::format("found {}, expected drop-oldest or refuse",
                                                    printable(*truncate, 64)));
    truncate_ = *truncate == "refuse" ? Truncate::refuse : Truncate::drop_oldest;
  }
  if (const std::vector<std::string> rest = own.unread(); !rest.empty())
    throw ApiError(400, "unknown_parameter",
                   fmt::format("{}: is unknown, known are sampling, strict, deadline_ms, logprobs, "
                               "truncate.",
                               printable(rest.front(), 64)),
                   rest.front());
}

// The chain that the request's fields change: the configured one, or that of a preset.
const std::vector<PluginChoice>& CommonFields::read_preset() {
  const ServeConfig& serve = model_.config.serve;
  const std::string name = fields_.text({"preset"}, 128).value_or("");
  const auto found = std::ranges::find(serve.presets, name, &SamplingPreset::name);
  if (found != serve.presets.end()) return found->sampling;
  if (!name.empty()) {
    std::string known;
    for (const SamplingPreset& preset : serve.presets) known += " " + preset.name;
    refuse_value("preset", fmt::format("found \"{}\", this server has{}", printable(name, 64),
                                       known.empty() ? " none" : known));
  }
  return model_.config.sampling;
}

void CommonFields::read_sampling() {
  const std::span<const std::string> locked = model_.config.serve.locked_sampling;
  const std::span<const SamplingBound> bounds = model_.config.serve.sampling_bounds;
  ask_.request.sampling = requested_chain(
      fields_, read_preset(),
      {.tokenizer = &model_.text.tokenizer(), .locked = locked, .bounds = bounds}, ask_.told);
  if (!own_sampling_) return;
  // A chain of the client's own would change what is locked, and know no bounds.
  if (locked.empty() && bounds.empty())
    ask_.request.sampling = chain_from_json(*own_sampling_, model_.samplers);
  else
    ask_.told.ignored.push_back("ropewalk.sampling");
}

std::optional<uint32_t> CommonFields::max_tokens(Names names) {
  if (const auto given = fields_.integer(names, 0, std::numeric_limits<int64_t>::max()))
    return static_cast<uint32_t>(std::min(*given, kMaxTokens));
  if (is_configured(model_.config, "generation.max_new_tokens"))
    return model_.config.generation.max_new_tokens;
  return std::nullopt;
}

void CommonFields::add_prompt(std::vector<int32_t> ids, std::optional<uint32_t> max_new_tokens) {
  const auto tokens = static_cast<uint32_t>(ids.size());
  const uint32_t context = model_.context_length;
  const uint32_t least = max_new_tokens && *max_new_tokens == 0 ? 0 : 1;
  if (ids.size() + least > context)
    throw ApiError(400, "context_length_exceeded",
                   fmt::format("This model's maximum context length is {} tokens, however your "
                               "prompt has {} tokens. Shorten the prompt.",
                               context, ids.size()),
                   ask_.endpoint == Endpoint::chat ? "messages" : "prompt")
        .with("n_prompt_tokens", ids.size())
        .with("n_ctx", context);
  const uint32_t room = context - tokens;
  if (max_new_tokens && *max_new_tokens > room)
    ask_.told.clipped.push_back(fmt::format("max_tokens: {} became {}", *max_new_tokens, room));
  ask_.prompts.push_back({std::move(ids), std::min(max_new_tokens.value_or(room), room)});
  if (ask_.prompts.size() * ask_.best_of > kMaxReplies)
    throw ApiError(400, "too_many_choices",
                   fmt::format("n: found {} prompts with {} replies each, expected at most {} "
                               "replies.",
                               ask_.prompts.size(), ask_.best_of, kMaxReplies),
                   "n");
}

void CommonFields::finish(Strictness strictness) {
  const std::vector<std::string> unknown = fields_.unread();
  const bool strict = strict_ || strictness == Strictness::strict || model_.config.serve.strict;
  size_t suggestions = 0;
  for (const std::string& name : unknown) {
    const std::string shown_name = printable(name, 64);
    const std::string meant = ++suggestions <= kMaxSuggestions ? fields_.meant(name) : "";
    const std::string advice = meant.empty() ? "" : fmt::format(" Did you mean {}?", meant);
    if (strict)
      throw ApiError(400, "unknown_parameter", fmt::format("{}: is unknown.{}", shown_name, advice),
                     name);
    ask_.told.ignored.push_back(shown_name);
    if (!meant.empty())
      ask_.told.warnings.push_back(fmt::format("{} is unknown.{}", shown_name, advice));
  }
}

}  // namespace ropewalk::serve
