#include "core/serve/request/model_names.h"

#include <algorithm>

#include "core/engine/run_adapters.h"

namespace ropewalk::serve {

std::optional<NamedModel> named_model(std::string_view name, const ServedModel& model) {
  const ServeConfig& serve = model.config.serve;
  const auto is_model = [&](std::string_view text) {
    return text == model.name || std::ranges::find(serve.aliases, text) != serve.aliases.end();
  };
  if (is_model(name)) return NamedModel{};
  const size_t colon = name.rfind(':');
  if (colon != std::string_view::npos && (is_model(name.substr(0, colon)) || serve.any_model))
    if (const auto adapter = find_adapter(model.config, name.substr(colon + 1)))
      return NamedModel{adapter};
  return serve.any_model ? std::optional(NamedModel{}) : std::nullopt;
}

std::vector<std::string> model_names(const ServedModel& model) {
  std::vector<std::string> names = {model.name};
  for (const AdapterChoice& adapter : model.config.adapters)
    names.push_back(model.name + ":" + adapter.name);
  return names;
}

std::vector<std::string> adapter_names(const Config& config) {
  std::vector<std::string> names = {std::string(kNoAdapterName)};
  for (const AdapterChoice& adapter : config.adapters) names.push_back(adapter.name);
  return names;
}

}  // namespace ropewalk::serve
