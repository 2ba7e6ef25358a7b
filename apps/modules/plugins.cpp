// plugins.cpp — `ropewalk plugins`: every module file, its verdict and its manual.
#include <fmt/format.h>

#include <cmath>

#include "apps/commands.h"
#include "apps/modules/plugin_manual.h"
#include "apps/open.h"
#include "apps/output.h"

namespace ropewalk {
namespace {

Json bound(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json option_json(const OptionDescription& option) {
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
    json["options"].push_back(option_json(option));
  return json;
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
