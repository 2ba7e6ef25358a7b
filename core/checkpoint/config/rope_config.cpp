#include "core/checkpoint/config/rope_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <span>
#include <string_view>

#include "core/abi/options.h"
#include "core/base/log.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

constexpr std::string_view kOriginal = "original_max_position_embeddings";
constexpr uint64_t kMaxOriginalLength = 1 << 24;

enum class Kind { factor, number, switch_, factors };

struct Option {
  std::string_view name;
  Kind kind;
  bool required;
};

constexpr std::array<Option, 1> kFactorOnly{{{"factor", Kind::factor, true}}};
constexpr std::array<Option, 1> kNtk{{{"alpha", Kind::factor, true}}};
constexpr std::array<Option, 7> kYarn{{{"factor", Kind::factor, true},
                                       {"attention_factor", Kind::number, false},
                                       {"beta_fast", Kind::number, false},
                                       {"beta_slow", Kind::number, false},
                                       {"mscale", Kind::number, false},
                                       {"mscale_all_dim", Kind::number, false},
                                       {"truncate", Kind::switch_, false}}};
constexpr std::array<Option, 3> kLlama3{{{"factor", Kind::factor, true},
                                         {"low_freq_factor", Kind::number, true},
                                         {"high_freq_factor", Kind::number, true}}};
constexpr std::array<Option, 4> kLongrope{{{"short_factor", Kind::factors, true},
                                           {"long_factor", Kind::factors, true},
                                           {"factor", Kind::factor, false},
                                           {"attention_factor", Kind::number, false}}};

struct Policy {
  std::string_view type;    // in config.json
  std::string_view plugin;  // ours
  std::span<const Option> options;
  bool takes_original;  // original_max_position_embeddings
};

constexpr std::array<Policy, 10> kPolicies{{{"default", "none", {}, false},
                                            {"none", "none", {}, false},
                                            {"linear", "linear", kFactorOnly, false},
                                            {"dynamic", "dynamic-ntk", kFactorOnly, false},
                                            {"ntk", "ntk", kNtk, false},
                                            {"ntk-by-parts", "ntk-by-parts", kFactorOnly, true},
                                            {"yarn", "yarn", kYarn, true},
                                            {"llama3", "llama3", kLlama3, true},
                                            {"longrope", "longrope", kLongrope, true},
                                            {"su", "longrope", kLongrope, true}}};

// Keys that policies ignore: read elsewhere, or notes of training scripts.
constexpr std::array<std::string_view, 6> kSilent{
    "type", "rope_type", "rope_theta", "partial_rotary_factor", kOriginal, "finetuned"};

const Policy* find_policy(std::string_view type) {
  const auto found = std::find_if(kPolicies.begin(), kPolicies.end(),
                                  [&](const Policy& policy) { return policy.type == type; });
  return found == kPolicies.end() ? nullptr : &*found;
}

// transformers 5 leaves the type out where there is no scaling; an option of some policy means one.
const Policy& untyped(const JsonFields& scaling) {
  for (const auto& item : scaling.json().items())
    if (std::find(kSilent.begin(), kSilent.end(), item.key()) == kSilent.end() &&
        !item.value().is_null())
      scaling.fail("rope_type", "is missing, expected the policy's name", "");
  return kPolicies[0];
}

// Both spellings may stand beside each other; transformers 4.45 to 4.5x write both.
const Policy& policy_of(const JsonFields& scaling) {
  const auto look_up = [&](std::string_view key) -> const Policy* {
    if (!scaling.has(key)) return nullptr;
    std::string type = scaling.text(key);
    if (type == "yarn" && scaling.has("short_factor")) type = "longrope";  // the first Phi-3 files
    if (const Policy* policy = find_policy(type)) return policy;
    scaling.fail(key,
                 fmt::format("found \"{}\", expected default, linear, dynamic, ntk, ntk-by-parts, "
                             "yarn, llama3 or longrope",
                             printable(type)),
                 "");
  };
  const Policy* old_key = look_up("type");
  const Policy* new_key = look_up("rope_type");
  if (old_key && new_key && old_key->plugin != new_key->plugin)
    scaling.fail("rope_type",
                 fmt::format("found \"{}\", but type says \"{}\"", new_key->type, old_key->type),
                 "Correct the one that is wrong, or delete it");
  if (!old_key && !new_key) return untyped(scaling);
  return new_key ? *new_key : *old_key;
}

std::string factors(const JsonFields& scaling, std::string_view key, uint32_t rotary_dims) {
  const std::vector<double> values = scaling.numbers(key);
  if (values.size() != rotary_dims / 2)
    scaling.fail(key,
                 fmt::format("has {} numbers, expected {}, half of the dimensions that are rotated",
                             values.size(), rotary_dims / 2),
                 "");
  std::string text;
  for (const double value : values) {
    if (!(value > 0))
      scaling.fail(key, fmt::format("found {}, expected numbers above 0", value), "");
    if (!text.empty()) text += abi::kItemSeparator;
    text += fmt::format("{}", value);
  }
  return text;
}

std::string option_text(const JsonFields& scaling, const Option& option, uint32_t rotary_dims) {
  switch (option.kind) {
    case Kind::switch_:
      return scaling.boolean(option.name) ? "true" : "false";
    case Kind::factors:
      return factors(scaling, option.name, rotary_dims);
    case Kind::factor:
    case Kind::number:
      break;
  }
  const double value = scaling.number(option.name);
  if (option.kind == Kind::factor && !(value > 0))
    scaling.fail(option.name, fmt::format("found {}, expected a number above 0", value), "");
  return fmt::format("{}", value);
}

void warn_unknown(const JsonFields& scaling, const Policy& policy) {
  for (const auto& item : scaling.json().items()) {
    const std::string& key = item.key();
    const bool known = std::find(kSilent.begin(), kSilent.end(), key) != kSilent.end() ||
                       std::any_of(policy.options.begin(), policy.options.end(),
                                   [&](const Option& option) { return option.name == key; });
    if (!known && !item.value().is_null())
      warn(fmt::format("rope scaling of type {} has no option \"{}\", ignored", policy.type,
                       printable(key)));
  }
}

void read_scaling(const JsonFields& scaling, uint32_t rotary_dims, RopeConfig& rope) {
  const Policy& policy = policy_of(scaling);
  rope.policy = policy.plugin;
  for (const Option& option : policy.options)
    if (option.required || scaling.has(option.name))
      rope.options[std::string(option.name)] = option_text(scaling, option, rotary_dims);
  if (scaling.has("partial_rotary_factor") && scaling.number("partial_rotary_factor") != 1)
    scaling.fail("partial_rotary_factor",
                 fmt::format("found {}, expected 1", scaling.number("partial_rotary_factor")), "");
  if (policy.takes_original && rope.original_max_position != 0)
    rope.options[std::string(kOriginal)] = std::to_string(rope.original_max_position);
  warn_unknown(scaling, policy);
}

void read_theta(const JsonFields& fields, RopeConfig& rope) {
  if (!fields.has("rope_theta")) return;
  rope.theta = fields.number("rope_theta");
  if (!(rope.theta >= 1 && rope.theta <= 1e15))
    fields.fail("rope_theta", fmt::format("found {}, expected a number from 1 to 1e15", rope.theta),
                "");
}

// Of Gemma 3, whose layers that slide have a table without scaling: `key` holds its base.
void read_local_theta(const JsonFields& fields, std::string_view key, RopeConfig& rope) {
  if (!fields.has(key)) return;
  rope.local_theta = fields.number(key);
  if (!(rope.local_theta >= 1 && rope.local_theta <= 1e15))
    fields.fail(key, fmt::format("found {}, expected a number from 1 to 1e15", rope.local_theta),
                "");
}

// transformers 5 writes the tables of both kinds of layers into rope_parameters.
void read_local_table(const JsonFields& fields, uint32_t rotary_dims, RopeConfig& rope) {
  RopeConfig local;
  read_scaling(fields, rotary_dims, local);
  if (local.policy != "none")
    fields.fail("rope_type", fmt::format("found {}, expected default", local.policy), "");
  read_local_theta(fields, "rope_theta", rope);
}

void read_original(const JsonFields& fields, RopeConfig& rope) {
  if (fields.has(kOriginal))
    rope.original_max_position =
        static_cast<uint32_t>(fields.unsigned_integer(kOriginal, 1, kMaxOriginalLength));
}

void read_condense_ratio(const JsonFields& fields, RopeConfig& rope) {
  if (!fields.has("rope_condense_ratio")) return;
  const double ratio = fields.number("rope_condense_ratio");
  if (!(ratio > 0))
    fields.fail("rope_condense_ratio", fmt::format("found {}, expected a number above 0", ratio),
                "");
  if (ratio == 1) return;
  const std::string factor = fmt::format("{}", ratio);
  const bool same = rope.policy == "linear" && rope.options["factor"] == factor;
  if (rope.policy != "none" && !same)
    fields.fail("rope_condense_ratio",
                fmt::format("found {}, but rope_scaling says {}", factor, rope.policy),
                "Delete the one that is wrong");
  rope.policy = "linear";
  rope.options["factor"] = factor;
}

}  // namespace

RopeConfig read_rope_config(const JsonFields& fields, uint32_t rotary_dims) {
  RopeConfig rope;
  read_theta(fields, rope);
  read_local_theta(fields, "rope_local_base_freq", rope);
  read_original(fields, rope);
  // transformers 5 writes rope_parameters and reads rope_scaling as its old name. Both may be there
  // in two spellings of one policy.
  const RopeConfig outer = rope;
  bool found = false;
  for (const std::string_view key : {"rope_parameters", "rope_scaling"}) {
    if (!fields.has(key) || fields.child(key).json().empty()) continue;
    const JsonFields whole = fields.child(key);
    const bool two = whole.has("full_attention") && whole.has("sliding_attention");
    const JsonFields scaling = two ? whole.child("full_attention") : whole;
    RopeConfig read = outer;
    if (two) read_local_table(whole.child("sliding_attention"), rotary_dims, read);
    read_theta(scaling, read);
    read_original(scaling, read);
    read_scaling(scaling, rotary_dims, read);
    if (found && (read.policy != rope.policy || read.options != rope.options))
      fields.fail("rope_parameters", "differs from rope_scaling", "Delete the one that is wrong");
    if (!found) rope = read;
    found = true;
  }
  if (fields.has("rope_theta") && rope.theta != outer.theta)
    warn(fmt::format("rope_theta is {}, but rope_parameters.rope_theta is {}, which is used",
                     outer.theta, rope.theta));
  read_condense_ratio(fields, rope);
  return rope;
}

}  // namespace ropewalk
