#include "core/modules/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/config/keys.h"
#include "core/config/nearest.h"
#include "core/config/scalars.h"
#include "core/modules/option_value.h"

namespace ropewalk {
namespace {

bool in_range(const OptionDescription& option, double number) {
  return number >= option.minimum && number <= option.maximum;
}

// One value or one item of a list; the type is the item's.
std::optional<std::string> encode_item(const OptionDescription& option, abi::OptionType type,
                                       const ConfigValue& value) {
  switch (type) {
    case abi::OptionType::boolean:
      if (as_boolean(value)) return value.text;
      return std::nullopt;
    case abi::OptionType::integer: {
      const std::optional<int64_t> integer = as_integer(value);
      if (integer && in_range(option, static_cast<double>(*integer))) return value.text;
      return std::nullopt;
    }
    case abi::OptionType::number: {
      const std::optional<double> number = as_number(value);
      if (number && in_range(option, *number)) return value.text;
      return std::nullopt;
    }
    case abi::OptionType::text:
      return as_text(value);
    default:
      return std::nullopt;
  }
}

std::optional<abi::OptionType> item_type(abi::OptionType type) {
  if (type == abi::OptionType::numbers) return abi::OptionType::number;
  if (type == abi::OptionType::texts) return abi::OptionType::text;
  return std::nullopt;
}

std::string lowest(const OptionDescription& option) { return fmt::format("{}", option.minimum); }
std::string highest(const OptionDescription& option) { return fmt::format("{}", option.maximum); }

std::string capitalised(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 32);
  return text;
}

// A value out of range. Names that the place ends with, as "--set sampling.temperature" does, are
// not repeated, nor is the option's name where it is the plugin's.
[[noreturn]] void refuse_value(const ConfigValue& value, const PluginChoice& choice,
                               const OptionDescription& option) {
  std::string subject;
  if (!value.where.file.ends_with("." + option.name)) {
    if (!value.where.file.ends_with("." + choice.name))
      subject = fmt::format("{}: {}: ", choice.key, choice.name);
    if (option.name != choice.name) subject += option.name + ": ";
  }
  throw Error(ExitCode::usage, value.where.text(),
              subject + mismatch(value, expected_value(option)), capitalised(option.help));
}

[[noreturn]] void refuse_option(const Where& where, const PluginChoice& choice,
                                std::string_view what, std::string_view advice) {
  throw Error(ExitCode::usage, where.text(),
              fmt::format("{}: {}: {}", choice.key, choice.name, what), advice);
}

// The configured value of `option`. A lone value after the plugin's name sets the first option.
const ConfigValue* given_value(const OptionDescription& option, const ModuleDescription& plugin,
                               const PluginChoice& choice) {
  const auto is_it = [&](const ConfigEntry& entry) { return same_name(entry.key, option.name); };
  const auto entry = std::ranges::find_if(choice.options, is_it);
  const bool is_main = choice.main && option.name == plugin.options.front().name;
  if (entry == choice.options.end()) return is_main ? &*choice.main : nullptr;
  if (is_main || std::find_if(entry + 1, choice.options.end(), is_it) != choice.options.end())
    refuse_option(entry->where, choice,
                  fmt::format("found the option {} a second time", option.name),
                  "Remove one of them");
  return &entry->value;
}

void refuse_unknown(const ModuleDescription& plugin, const PluginChoice& choice) {
  std::vector<std::string> names;
  for (const OptionDescription& option : plugin.options) names.push_back(option.name);
  for (const ConfigEntry& entry : choice.options)
    if (std::ranges::none_of(names,
                             [&](const std::string& name) { return same_name(name, entry.key); }))
      refuse_option(entry.where, choice,
                    fmt::format("found the unknown option {}", printable(entry.key)),
                    names.empty() ? "It has no options" : suggestion(entry.key, names));
  if (choice.main && names.empty())
    refuse_option(choice.main->where, choice,
                  fmt::format("found {}, expected nothing after the name", describe(*choice.main)),
                  "It has no options");
}

}  // namespace

std::optional<std::string> encode_value(const OptionDescription& option, const ConfigValue& value) {
  const std::optional<abi::OptionType> item = item_type(option.type);
  if (!item) return encode_item(option, option.type, value);
  if (value.kind != ValueKind::list) return encode_item(option, *item, value);
  std::string joined;
  for (const ConfigValue& element : value.items) {
    const std::optional<std::string> text = encode_item(option, *item, element);
    if (!text || text->find(abi::kItemSeparator) != std::string::npos) return std::nullopt;
    if (&element != &value.items.front()) joined += abi::kItemSeparator;
    joined += *text;
  }
  return joined;
}

bool default_fits(const OptionDescription& option) {
  const bool is_text =
      option.type == abi::OptionType::text || option.type == abi::OptionType::texts;
  if (is_text) return true;
  if (option.type != abi::OptionType::numbers)
    return encode_value(option, make_scalar(*option.default_value, {})).has_value();
  ConfigValue list = make_value(ValueKind::list, {});
  std::string_view rest = *option.default_value;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(abi::kItemSeparator), rest.size());
    list.items.push_back(make_scalar(std::string(rest.substr(0, end)), {}));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return encode_value(option, list).has_value();
}

std::string expected_value(const OptionDescription& option) {
  const std::string type(type_name(option.type));
  const bool low = std::isfinite(option.minimum);
  const bool high = std::isfinite(option.maximum);
  if (option.type == abi::OptionType::text)
    return "text, quoted where YAML reads it as another type";
  if (low && high) return fmt::format("{} from {} to {}", type, lowest(option), highest(option));
  if (low) return fmt::format("{} of at least {}", type, lowest(option));
  if (high) return fmt::format("{} of at most {}", type, highest(option));
  return type;
}

std::vector<abi::OptionValue> ResolvedOptions::view() const {
  std::vector<abi::OptionValue> views;
  for (const auto& [name, value] : values) views.push_back({name, value});
  return views;
}

ResolvedOptions resolve_options(const ModuleDescription& plugin, const PluginChoice& choice) {
  refuse_unknown(plugin, choice);
  ResolvedOptions resolved;
  for (const OptionDescription& option : plugin.options) {
    const ConfigValue* given = given_value(option, plugin, choice);
    if (!given) {
      if (option.default_value) resolved.values.emplace_back(option.name, *option.default_value);
      continue;
    }
    const std::optional<std::string> text = encode_value(option, *given);
    if (!text) refuse_value(*given, choice, option);
    resolved.values.emplace_back(option.name, *text);
  }
  return resolved;
}

}  // namespace ropewalk
