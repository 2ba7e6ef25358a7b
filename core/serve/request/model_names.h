// model_names.h — what a request may call the served model, with one of its adapters or without.
//
// Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/serve/request/served_model.h"

namespace ropewalk::serve {

struct NamedModel {
  std::optional<uint32_t> adapter;  // as sequences name it; absent: the name says none
};

// `NAME`, one of serve.aliases, or either with `:ADAPTER`, of which `none` is one. nullopt: nothing
// here has this name. Where serve.any_model is set every name is the model's.
std::optional<NamedModel> named_model(std::string_view name, const ServedModel& model);

// The model, and the model with each adapter.
std::vector<std::string> model_names(const ServedModel& model);
// none, and the configuration's.
std::vector<std::string> adapter_names(const Config& config);

}  // namespace ropewalk::serve
