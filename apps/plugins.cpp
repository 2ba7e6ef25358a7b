// plugins.cpp — `ropewalk plugins`: every module file, its verdict and its manual.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "apps/commands.h"
#include "apps/open.h"
#include "apps/output.h"

namespace ropewalk {
namespace {

std::string_view option_type(abi::OptionType type) {
  switch (type) {
    case abi::OptionType::boolean:
      return "boolean";
    case abi::OptionType::integer:
      return "integer";
    case abi::OptionType::number:
      return "number";
    case abi::OptionType::text:
      return "text";
    case abi::OptionType::numbers:
      return "numbers";
    case abi::OptionType::texts:
      return "texts";
  }
  return "unknown";
}

// As one would write it in YAML.
std::string default_text(const OptionDescription& option) {
  std::string text = option.default_value.value_or("");
  const bool list =
      option.type == abi::OptionType::numbers || option.type == abi::OptionType::texts;
  std::string out;
  for (const char c : text) out += c == abi::kItemSeparator ? std::string(", ") : std::string(1, c);
  return list ? "[" + out + "]" : out;
}

Json bound(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json option_json(const OptionDescription& option) {
  return {{"name", option.name},
          {"type", option_type(option.type)},
          {"default", option.default_value ? Json(default_text(option)) : Json(nullptr)},
          {"minimum", bound(option.minimum)},
          {"maximum", bound(option.maximum)},
          {"help", option.help}};
}

Json module_json(const ModuleListing& listing) {
  Json json = {{"file", listing.file.string()}, {"verdict", listing.verdict}};
  if (!listing.description) return json;
  const ModuleDescription& module = *listing.description;
  json["kind"] = kind_name(module.kind);
  json["name"] = module.name;
  json["version"] = module.version;
  json["help"] = module.help;
  json["source"] = module.source;
  json["options"] = Json::array();
  for (const OptionDescription& option : module.options)
    json["options"].push_back(option_json(option));
  return json;
}

std::string range_text(const OptionDescription& option) {
  const bool low = std::isfinite(option.minimum), high = std::isfinite(option.maximum);
  if (low && high) return fmt::format(", {} to {}", option.minimum, option.maximum);
  if (low) return fmt::format(", at least {}", option.minimum);
  if (high) return fmt::format(", at most {}", option.maximum);
  return "";
}

std::string manual(const ModuleListing& listing) {
  if (!listing.description)
    return fmt::format("refused {}: {}\n", printable(listing.file.string(), 400),
                       printable(listing.verdict, 2000));
  const ModuleDescription& module = *listing.description;
  std::string out =
      fmt::format("{} {} {}: {}\n  {}\n  source: {}\n", kind_name(module.kind),
                  printable(module.name), printable(module.version), printable(module.help, 400),
                  printable(listing.file.string(), 400), printable(module.source, 400));
  for (const OptionDescription& option : module.options) {
    const std::string by_default =
        option.default_value ? fmt::format(", default {}", printable(default_text(option))) : "";
    out += fmt::format("  - {} ({}{}{}): {}\n", printable(option.name), option_type(option.type),
                       range_text(option), by_default, printable(option.help, 400));
  }
  return out;
}

}  // namespace

int plugins(const PluginsArguments& arguments) {
  const CommonArguments& common = arguments.common;
  const Config config =
      common.target.empty() ? config_without_file(common, ".") : open_config(common);
  Registry registry = make_registry(config);
  const std::vector<ModuleListing> listings = registry.list();
  if (common.json) {
    Json modules = Json::array();
    for (const ModuleListing& listing : listings) modules.push_back(module_json(listing));
    print_json({{"modules", modules}});
    return 0;
  }
  std::string text;
  for (const ModuleListing& listing : listings) text += manual(listing);
  print(listings.empty() ? fmt::format("no modules in {}\n", install_folder().string()) : text);
  return 0;
}

}  // namespace ropewalk
