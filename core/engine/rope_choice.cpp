#include "core/engine/rope_choice.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>

#include "core/abi/options.h"
#include "core/base/error.h"
#include "core/base/log.h"

namespace ropewalk {
namespace {

PluginChoice from_model(const RopeConfig& rope, const std::filesystem::path& folder) {
  PluginChoice choice;
  choice.name = rope.policy;
  choice.key = "rope";
  choice.where = {.file = (folder / "config.json").string() + ": rope_scaling"};
  for (const auto& [name, value] : rope.options) {
    if (value.find(abi::kItemSeparator) == std::string::npos) {
      choice.options.push_back({name, choice.where, make_scalar(value, choice.where)});
      continue;
    }
    std::vector<std::string> items(1);
    for (const char c : value) {
      if (c == abi::kItemSeparator) {
        items.emplace_back();
      } else {
        items.back() += c;
      }
    }
    choice.options.push_back({name, choice.where, make_list(std::move(items), choice.where)});
  }
  return choice;
}

std::optional<double> as_number(const ConfigValue& value) {
  double number = 0;
  const char* end = value.text.data() + value.text.size();
  const auto [stop, error] = std::from_chars(value.text.data(), end, number);
  if (value.kind != ValueKind::scalar || error != std::errc{} || stop != end) return std::nullopt;
  return number;
}

bool same(const ConfigValue& a, const ConfigValue& b) {
  if (a.kind != b.kind) return false;
  if (a.kind == ValueKind::list) {
    return std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), same);
  }
  const auto x = as_number(a), y = as_number(b);
  return x && y ? *x == *y : a.text == b.text;
}

std::string describe(const PluginChoice& choice) {
  std::vector<std::string> parts = {choice.name};
  for (const ConfigEntry& option : choice.options) {
    if (option.value.kind == ValueKind::scalar) {
      parts.push_back(fmt::format("{} {}", option.key, option.value.text));
    }
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

// Whether the two name different policies, or the same with different values of an option.
bool contradicts(const PluginChoice& ours, const PluginChoice& models) {
  if (ours.name != models.name) return true;
  return std::any_of(ours.options.begin(), ours.options.end(), [&](const ConfigEntry& option) {
    const auto other = std::find_if(models.options.begin(), models.options.end(),
                                    [&](const ConfigEntry& m) { return m.key == option.key; });
    return other != models.options.end() && !same(option.value, other->value);
  });
}

// rope.mode is the engine's option, not the policy's: how keys cached under an older table are
// used.
RopeMode take_mode(PluginChoice& choice) {
  const auto mode = std::find_if(choice.options.begin(), choice.options.end(),
                                 [](const ConfigEntry& option) { return option.key == "mode"; });
  if (mode == choice.options.end()) return RopeMode::hf_compat;
  const std::string text = mode->value.text;
  const Where where = mode->where;
  choice.options.erase(mode);
  if (text == "hf-compat") return RopeMode::hf_compat;
  if (text == "exact") return RopeMode::exact;
  if (text == "fixed") return RopeMode::fixed;
  throw Error(ExitCode::usage, where.text() + ": rope.mode",
              fmt::format("found {}, expected hf-compat, exact or fixed", text), "");
}

}  // namespace

RopeChoice choose_rope(const Config& config, const ModelConfig& model, uint32_t context_length) {
  RopeChoice choice;
  const PluginChoice models = from_model(model.rope, config.model);
  choice.plugin = models;
  if (config.rope) {
    choice.plugin = *config.rope;
    choice.from_model = false;
    choice.mode = take_mode(choice.plugin);
    if (contradicts(choice.plugin, models)) {
      warn(
          fmt::format("{}: rope is {}, but the model's config.json says {}; the configuration wins",
                      config.rope->where.text(), describe(choice.plugin), describe(models)));
    }
  }
  choice.request = {model.rotated(), model.rope.theta, model.max_position,
                    model.rope.original_max_position, context_length};
  choice.heads = {model.head_dim, model.rope.local_theta};
  if (context_length > model.trained_length) {
    warn(fmt::format(
        "context.length is {}, but the model was trained for {} positions ({}); expect worse "
        "answers beyond that",
        context_length, model.trained_length,
        model.trained_length == model.max_position ? "max_position_embeddings" : "config.json"));
  }
  return choice;
}

}  // namespace ropewalk
