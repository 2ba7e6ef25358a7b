// plugins.cpp — `ropewalk plugins`: every module file, its verdict and its manual.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <utility>

#include "apps/commands.h"
#include "apps/modules/plugin_manual.h"
#include "apps/open.h"
#include "apps/output.h"
#include "core/base/error.h"
#include "core/config/keys.h"
#include "core/config/nearest.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

Json bound(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json option_description_json(const OptionDescription& option) {
  return {{"name", option.name},
          {"type", option_type_name(option.type)},
          {"default", option.default_value ? Json(option_default(option)) : Json(nullptr)},
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
    json["options"].push_back(option_description_json(option));
  return json;
}

// Whether the argument can only be a kind or a plugin: no file has its name.
bool is_filter(const std::string& argument) {
  std::error_code error;
  return !argument.ends_with(".yaml") && !argument.ends_with(".yml") &&
         argument.find('/') == std::string::npos && !std::filesystem::exists(argument, error);
}

// "sampler", "samplers", "prompt-format", "rope scaling".
bool is_kind(abi::ModuleKind kind, std::string_view word) {
  const auto plain = [](std::string_view name) {
    std::string text(name);
    std::ranges::replace_if(
        text, [](char c) { return c == ' ' || c == '_'; }, '-');
    return text;
  };
  return plain(word) == plain(kind_name(kind)) || plain(word) == kind_folder(kind);
}

std::vector<ModuleListing> filtered(const std::vector<ModuleListing>& listings,
                                    const std::string& word) {
  std::vector<ModuleListing> found;
  std::vector<std::string> names;
  for (const ModuleListing& listing : listings) {
    if (!listing.description) continue;
    const ModuleDescription& module = *listing.description;
    names.push_back(module.name);
    if (is_kind(module.kind, word) || same_name(module.name, word)) found.push_back(listing);
  }
  if (found.empty())
    throw Error(ExitCode::usage, "command line",
                fmt::format("found no plugin and no kind called {}", printable(word)),
                suggestion(word, names));
  return found;
}

}  // namespace

int plugins(const PluginsArguments& arguments) {
  CommonArguments common = arguments.common;
  std::string filter = arguments.filter;
  if (filter.empty() && is_filter(common.target)) std::swap(filter, common.target);
  const Config config =
      common.target.empty() ? config_without_file(common, ".") : open_config(common);
  Registry registry = make_registry(config);
  std::vector<ModuleListing> listings = registry.list();
  if (!filter.empty()) listings = filtered(listings, filter);
  if (common.json) {
    Json modules = Json::array();
    for (const ModuleListing& listing : listings) modules.push_back(module_json(listing));
    print_json({{"modules", modules}});
    return 0;
  }
  if (arguments.markdown) {
    print(markdown_manual(listings));
    return 0;
  }
  std::string text;
  for (const ModuleListing& listing : listings) text += manual(listing);
  print(listings.empty() ? fmt::format("no modules in {}\n", install_folder().string()) : text);
  return 0;
}

}  // namespace ropewalk
