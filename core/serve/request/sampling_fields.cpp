#include "core/serve/request/sampling_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <utility>

#include "core/base/error.h"
#include "core/config/nearest.h"
#include "core/config/plugin_choice.h"
#include "core/json/json.h"
#include "core/serve/api_error.h"
#include "core/serve/request/chain_edit.h"
#include "core/serve/request/sampling_locks.h"
#include "core/serve/request/token_fields.h"

namespace ropewalk::serve {
namespace {

using LinkRole = LinkInfo::Role;
constexpr int64_t kMaxCount = 1 << 30;

ConfigValue number_value(double number, const std::string& field) {
  return make_scalar(fmt::format("{}", number), {.file = field});
}
ConfigValue integer_value(int64_t number, const std::string& field) {
  return make_scalar(fmt::format("{}", number), {.file = field});
}

// Fields that set one option each. Where the link is missing, the neutral value adds none.
struct NumberField {
  std::array<std::string_view, 3> names;  // empty: no further ones
  std::string_view link, option;
  double neutral;
  double scale = 1;
};
constexpr std::array kNumbers = {
    NumberField{{"top_p"}, "top-p", "p", 1},
    NumberField{{"min_p"}, "min-p", "p", 0},
    NumberField{{"top_a"}, "top-a", "a", 0},
    NumberField{{"typical_p", "typical"}, "typical", "p", 1},
    NumberField{{"tfs", "tfs_z"}, "tail-free", "z", 1},
    NumberField{{"epsilon_cutoff"}, "epsilon", "epsilon", 0, 1e-4},
    NumberField{{"eta_cutoff"}, "eta", "epsilon", 0, 1e-4},
    NumberField{
        {"repetition_penalty", "rep_pen", "repeat_penalty"}, "repetition-penalty", "penalty", 1},
    NumberField{{"frequency_penalty"}, "frequency-presence", "frequency", 0},
    NumberField{{"presence_penalty"}, "frequency-presence", "presence", 0},
    NumberField{{"dry_multiplier"}, "dry", "multiplier", 0},
    NumberField{{"xtc_probability"}, "xtc", "probability", 0},
    NumberField{{"smoothing_factor"}, "quadratic", "factor", 0},
};
struct IntegerField {
  std::array<std::string_view, 3> names;
  std::string_view link, option;
  int64_t neutral;
};
constexpr std::array kIntegers = {
    IntegerField{{"top_k"}, "top-k", "k", 0},
    IntegerField{{"no_repeat_ngram_size"}, "no-repeat-ngram", "size", 0},
    IntegerField{{"min_tokens", "min_length"}, "min-length", "tokens", 0},
};
// Fields that change a link that is there, by the configuration or by the fields above.
constexpr std::array kDetails = {
    NumberField{{"dry_base"}, "dry", "base", 0},
    NumberField{{"xtc_threshold"}, "xtc", "threshold", 0},
    NumberField{{"smoothing_curve"}, "quadratic", "curve", 0},
};
constexpr std::array kIntegerDetails = {
    IntegerField{{"repetition_decay"}, "repetition-penalty", "decay", 0},
    IntegerField{{"dry_allowed_length"}, "dry", "allowed_length", 0},
    IntegerField{{"dry_range", "dry_penalty_last_n"}, "dry", "range", 0},
};

struct SamplerName {
  std::string_view name, link;
};
// llama.cpp's and text-generation-webui's names of the steps of a chain.
constexpr std::array kSamplerNames = {
    SamplerName{"penalties", "repetition-penalty"},
    SamplerName{"repetition_penalty", "repetition-penalty"},
    SamplerName{"frequency_penalty", "frequency-presence"},
    SamplerName{"presence_penalty", "frequency-presence"},
    SamplerName{"encoder_repetition_penalty", ""},
    SamplerName{"dry", "dry"},
    SamplerName{"no_repeat_ngram", "no-repeat-ngram"},
    SamplerName{"top_n_sigma", "top-n-sigma"},
    SamplerName{"temperature", "temperature"},
    SamplerName{"dynamic_temperature", "dynamic-temperature"},
    SamplerName{"quadratic_sampling", "quadratic"},
    SamplerName{"top_k", "top-k"},
    SamplerName{"top_p", "top-p"},
    SamplerName{"typical_p", "typical"},
    SamplerName{"typ_p", "typical"},
    SamplerName{"epsilon_cutoff", "epsilon"},
    SamplerName{"eta_cutoff", "eta"},
    SamplerName{"tfs", "tail-free"},
    SamplerName{"tfs_z", "tail-free"},
    SamplerName{"top_a", "top-a"},
    SamplerName{"min_p", "min-p"},
    SamplerName{"xtc", "xtc"},
    SamplerName{"mirostat", "mirostat"},
    SamplerName{"adaptive_p", ""},
    SamplerName{"infill", ""},
};

// Of fields that requests may have.
struct SamplingNames {
  std::vector<std::string> all, numbers;
};

class Mapper {
 public:
  // `listed`: gets the names of all fields; may be null.
  Mapper(Fields& fields, const std::vector<PluginChoice>& base, const SamplingRules& rules,
         Told& told, SamplingNames* listed)
      : fields_(fields),
        chain_(base),
        rules_(rules),
        locked_(locked_fields(rules.locked)),
        told_(told),
        listed_(listed) {
    // A configuration without samplers is greedy; a penalty that a request adds keeps it so.
    if (base.empty()) chain_.link("greedy");
  }

  std::vector<PluginChoice> run() {
    for (const NumberField& row : kNumbers) take(row, false);
    for (const IntegerField& row : kIntegers) take(row, false);
    for (const NumberField& row : kDetails) take(row, true);
    for (const IntegerField& row : kIntegerDetails) take(row, true);
    take_top_n_sigma();
    take_penalty_range();
    take_breakers();
    take_biases();
    take_bans();
    const bool greedy = take_temperature();
    take_mirostat(greedy);
    take_order();
    if (greedy) chain_.make_greedy();
    return chain_.take();
  }

 private:
  bool is_locked(Names names) const {
    return std::ranges::any_of(names, [&](std::string_view n) { return locked_.contains(n); });
  }
  // The field under any of its names. One that the operator has locked under any of them is told as
  // ignored, and counts as absent.
  Fields::Found open(Names names) {
    if (listed_) listed_->all.insert(listed_->all.end(), names.begin(), names.end());
    Fields::Found found = fields_.find(names);
    if (!found.value || !is_locked(names)) return found;
    told_.ignored.push_back(found.name);
    return {found.name, nullptr};
  }
  // One that bounds hold for, which may name it by any of its names.
  Fields::Found open_number(Names names) {
    if (listed_) listed_->numbers.insert(listed_->numbers.end(), names.begin(), names.end());
    Fields::Found found = open(names);
    if (!found.value || !found.value->is_number()) return found;  // refused by its type
    check_bounds(names, found.name, found.value->get<double>());
    return found;
  }
  // `field` gives one of `names` this value.
  void check_bounds(Names names, const std::string& field, double value) const {
    for (const SamplingBound& bound : rules_.bounds)
      if (std::ranges::find(names, bound.field) != names.end() &&
          !(value >= bound.min && value <= bound.max))
        refuse_value(field, fmt::format("found {} for {}, this server takes {} to {}", value,
                                        bound.field, bound.min, bound.max));
  }

  std::optional<std::pair<std::string, double>> number(Names names) {
    const auto [name, value] = open_number(names);
    if (!value) return std::nullopt;
    if (!value->is_number()) refuse_type(name, *value, "a number");
    return std::pair(name, value->get<double>());
  }
  std::optional<std::pair<std::string, int64_t>> integer(Names names) {
    const auto [name, value] = open_number(names);
    if (!value) return std::nullopt;
    const std::optional<int64_t> found = exact_integer(*value);
    if (!found) refuse_type(name, *value, "an integer");
    return std::pair(name, *found);
  }
  std::optional<std::pair<std::string, bool>> boolean(Names names) {
    const auto [name, value] = open(names);
    if (!value) return std::nullopt;
    if (!value->is_boolean()) refuse_type(name, *value, "true or false");
    return std::pair(name, value->get<bool>());
  }

  void take(const NumberField& row, bool only_there) {
    const auto found = number({row.names[0], row.names[1], row.names[2]});
    if (!found) return;
    const double value = found->second * row.scale;
    if (!chain_.has(row.link) && (only_there || value == row.neutral)) return;
    chain_.set(row.link, row.option, number_value(value, found->first));
  }
  void take(const IntegerField& row, bool only_there) {
    const auto found = integer({row.names[0], row.names[1], row.names[2]});
    if (!found) return;
    const int64_t value = found->second == -1 ? row.neutral : found->second;
    if (!chain_.has(row.link) && (only_there || value == row.neutral)) return;
    chain_.set(row.link, row.option, integer_value(value, found->first));
  }

  void take_top_n_sigma() {
    const auto found = number({"top_n_sigma", "nsigma"});
    if (!found) return;
    const double value = std::max(found->second, 0.0);
    if (value > 0 || chain_.has("top-n-sigma"))
      chain_.set("top-n-sigma", "n", number_value(value, found->first));
  }

  // Others' ranges have 0 and -1 for all tokens; llama.cpp's own has 0 for none.
  void take_penalty_range() {
    const std::string_view link = "repetition-penalty", kLast = "repeat_last_n";
    const auto [name, given] = open_number(
        {"repetition_penalty_range", "rep_pen_range", "penalty_range", "repetition_range", kLast});
    if (!given) return;
    const std::optional<int64_t> value = exact_integer(*given);
    if (!value || *value < -1 || *value > kMaxCount)
      refuse_type(name, *given, fmt::format("an integer from -1 to {}", kMaxCount));
    if (!chain_.has(link)) return;
    const bool none = name.ends_with(kLast) && *value == 0;
    if (none && is_locked({"repetition_penalty", "rep_pen", "repeat_penalty"}))
      told_.ignored.push_back(name);
    else if (none)
      chain_.set(link, "penalty", number_value(1, name));
    else
      chain_.set(link, "range", integer_value(std::max<int64_t>(*value, 0), name));
  }

  void take_breakers() {
    const auto [name, value] = open({"dry_sequence_breakers"});
    if (!value) return;
    const std::vector<std::string> breakers = breaker_texts(name, *value);
    if (chain_.has("dry")) chain_.set("dry", "breakers", text_list(breakers, name));
  }

  void take_biases() {
    const auto [name, value] = open({"logit_bias"});
    if (!value) return;
    const Biases biases = read_biases(name, *value, *rules_.tokenizer);
    if (!biases.ids.empty()) {
      chain_.remove("logit-bias");
      chain_.set("logit-bias", "ids", number_list(biases.ids, name));
      chain_.set("logit-bias", "bias", number_list(biases.values, name));
    }
    if (!biases.banned.empty())
      chain_.extend("ban-tokens", "ids", number_list(biases.banned, name));
  }

  void take_bans() {
    if (const auto [name, value] = open({"banned_tokens", "custom_token_bans"}); value) {
      const std::vector<double> ids = read_id_list(name, *value, rules_.tokenizer->vocab_size());
      if (!ids.empty()) chain_.extend("ban-tokens", "ids", number_list(ids, name));
    }
    if (const auto [name, value] = open({"banned_strings", "bad_words"}); value) {
      const std::vector<std::string> texts = read_texts(name, *value, kMaxBans, kMaxBanBytes);
      if (!texts.empty()) chain_.extend("ban-tokens", "texts", text_list(texts, name));
    }
    const auto end = boolean({"ignore_eos", "ban_eos_token"});
    if (end && (end->second || chain_.has("ban-tokens")))
      chain_.set("ban-tokens", "end",
                 make_scalar(end->second ? "true" : "false", {.file = end->first}));
  }

  // Whether the request asks for greedy decoding.
  bool take_temperature() {
    const auto temperature = number({"temperature"});
    const auto sample = boolean({"do_sample"});
    if (sample && !sample->second) check_bounds({"temperature"}, sample->first, 0);
    const bool greedy = (temperature && temperature->second == 0) || (sample && !sample->second);
    const bool dynamic = take_dynamic(temperature ? temperature->second : 1, greedy);
    if (!temperature || greedy || dynamic) return greedy;
    chain_.remove("greedy");
    chain_.remove("dynamic-temperature");
    chain_.set("temperature", "temperature", number_value(temperature->second, temperature->first));
    return false;
  }

  bool take_dynamic(double temperature, bool greedy) {
    const auto low = number({"dynatemp_low", "min_temp"});
    const auto high = number({"dynatemp_high", "max_temp"});
    const auto range = number({"dynatemp_range"});
    const auto exponent = number({"dynatemp_exponent", "temp_exponent"});
    const auto wanted = boolean({"dynamic_temperature"});
    double from = low ? low->second : 0, to = high ? high->second : 0;
    if (range && range->second > 0) {
      from = std::max(0.0, temperature - range->second);
      to = temperature + range->second;
    }
    if (greedy || (wanted && !wanted->second) || from == to) return false;
    const std::string field = range ? range->first : low ? low->first : high->first;
    if (from > to)
      refuse_value(field,
                   fmt::format("found a range from {} to {}, expected one that rises", from, to));
    check_bounds({"temperature"}, field, from);
    check_bounds({"temperature"}, !range && high ? high->first : field, to);
    chain_.remove("greedy");
    replace("temperature", "dynamic-temperature");
    chain_.set("dynamic-temperature", "low", number_value(std::max(from, 0.01), field));
    chain_.set("dynamic-temperature", "high", number_value(to, field));
    if (exponent)
      chain_.set("dynamic-temperature", "exponent",
                 number_value(exponent->second, exponent->first));
    return true;
  }

  void take_mirostat(bool greedy) {
    const auto mode = integer({"mirostat_mode", "mirostat"});
    const auto tau = number({"mirostat_tau"});
    const auto eta = number({"mirostat_eta"});
    if (!mode) return;
    if (mode->second == 0) return chain_.remove("mirostat");
    if (greedy) return;
    chain_.remove(LinkRole::truncates);
    chain_.remove("greedy");
    chain_.set("mirostat", "version", integer_value(mode->second, mode->first));
    if (tau) chain_.set("mirostat", "tau", number_value(tau->second, tau->first));
    if (eta) chain_.set("mirostat", "eta", number_value(eta->second, eta->first));
  }

  void take_order() {
    const auto last = boolean({"temperature_last"});
    for (const std::string_view field : {"samplers", "sampler_priority"}) {
      const auto [name, value] = open({field});
      if (!value || value->empty()) continue;
      std::vector<std::string> links;
      for (const std::string& step : sampler_texts(name, *value)) {
        const auto known = std::ranges::find(kSamplerNames, step, &SamplerName::name);
        if (known == kSamplerNames.end())
          refuse_value(name, fmt::format("found the unknown sampler {}", printable(step, 64)));
        if (std::ranges::find(links, known->link) == links.end()) links.emplace_back(known->link);
      }
      chain_.order(links, field == "samplers");
    }
    if (last && last->second) {
      chain_.move_to_end("temperature");
      chain_.move_to_end("dynamic-temperature");
    }
  }

  void replace(std::string_view old_name, std::string_view new_name) {
    std::vector<PluginChoice> chain = chain_.take();
    const bool there = std::ranges::find(chain, new_name, &PluginChoice::name) != chain.end();
    const auto found = std::ranges::find(chain, old_name, &PluginChoice::name);
    if (found != chain.end() && there)
      chain.erase(found);
    else if (found != chain.end())
      *found = {.name = std::string(new_name), .key = "sampling"};
    chain_ = ChainEdit(std::move(chain));
  }

  Fields& fields_;
  ChainEdit chain_;
  const SamplingRules& rules_;
  const std::set<std::string, std::less<>> locked_;
  Told& told_;
  SamplingNames* const listed_;
};

// JSON as a value of the configuration.
ConfigValue config_value(const Json& json, const Where& where) {
  if (json.is_string()) {
    ConfigValue value = make_scalar(json.get<std::string>(), where);
    value.quoted = true;
    return value;
  }
  if (json.is_null()) return make_value(ValueKind::null, where);
  if (json.is_array()) {
    ConfigValue list = make_value(ValueKind::list, where);
    for (const Json& item : json) list.items.push_back(config_value(item, where));
    return list;
  }
  if (json.is_object()) {
    ConfigValue map = make_value(ValueKind::map, where);
    for (const auto& [key, value] : json.items())
      map.entries.push_back({key, where, config_value(value, where)});
    return map;
  }
  return make_scalar(json.dump(), where);
}

// Those that the mapper asks for. A request without any needs no tokenizer.
SamplingNames sampling_names() {
  SamplingNames names;
  const Json none = Json::object();
  Fields fields(none, "");
  Told told;
  Mapper(fields, {}, {.tokenizer = nullptr, .locked = {}}, told, &names).run();
  for (std::vector<std::string>* list : {&names.all, &names.numbers}) std::erase(*list, "");
  return names;
}

void refuse_unknown(const char* key, const std::string& field, std::string_view expected,
                    std::span<const std::string> known) {
  if (std::ranges::find(known, field) != known.end()) return;
  const std::string near = nearest(field, known);
  throw Error(ExitCode::usage, key,
              fmt::format("found {}, expected {}", printable(field, 64), expected),
              near.empty() ? "See \"Samplers\" in docs/serving.md" : "Did you mean " + near);
}

}  // namespace

void check_sampling_names(const ServeConfig& serve) {
  const SamplingNames names = sampling_names();
  for (const std::string& field : serve.locked_sampling)
    refuse_unknown("serve.sampling.lock", field, "a sampling field of requests", names.all);
  for (const SamplingBound& bound : serve.sampling_bounds)
    refuse_unknown("serve.sampling.bounds", bound.field,
                   "a sampling field of requests that is a number", names.numbers);
}

std::vector<PluginChoice> requested_chain(Fields& fields, const std::vector<PluginChoice>& base,
                                          const SamplingRules& rules, Told& told) {
  std::vector<PluginChoice> chain = Mapper(fields, base, rules, told, nullptr).run();
  // A lone greedy is the same as no samplers, for which a device may find the largest logit.
  if (chain.size() == 1 && chain[0].name == "greedy") chain.clear();
  return chain;
}

std::vector<PluginChoice> chain_from_json(const Json& list, std::span<const std::string> known) {
  const std::string name = "ropewalk.sampling";
  if (!list.is_array()) refuse_type(name, list, "a list of samplers");
  std::vector<PluginChoice> chain;
  try {
    chain = read_chain(config_value(list, {.file = name}), name);
  } catch (const Error& error) {
    throw ApiError(400, "invalid_value", error.what(), name);
  }
  for (const PluginChoice& choice : chain)
    if (std::ranges::find(known, choice.name) == known.end())
      refuse_value(name, fmt::format("found the unknown sampler {}", printable(choice.name, 64)));
  return chain;
}

}  // namespace ropewalk::serve
