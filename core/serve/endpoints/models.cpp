#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/json/json.h"
#include "core/serve/endpoints/endpoints.h"
#include "core/serve/request/model_names.h"
#include "core/serve/run/responses.h"

namespace ropewalk::serve {
namespace {

Json model_json(const Service& service, const LoadedModel& loaded, const std::string& name) {
  const bool adapted = name != loaded.model.name;
  return {{"id", name},
          {"object", "model"},
          {"created", service.started()},
          {"owned_by", "ropewalk"},
          {"root", loaded.model_folder},
          {"parent", adapted ? Json(loaded.model.name) : Json(nullptr)},
          {"max_model_len", loaded.model.context_length}};
}

}  // namespace

http::Response list_models(Service& service, const http::Request&) {
  const LoadedModel& loaded = service.loaded();
  Json list = Json::array();
  for (const std::string& name : model_names(loaded.model))
    list.push_back(model_json(service, loaded, name));
  return json_response({{"object", "list"}, {"data", std::move(list)}});
}

http::Response one_model(Service& service, const http::Request& request) {
  const LoadedModel& loaded = service.loaded();
  const std::string& name = request.rest;
  const std::vector<std::string> names = model_names(loaded.model);
  if (!named_model(name, loaded.model))
    throw ApiError(404, "model_not_found",
                   fmt::format("Found \"{}\", this server has {}.", printable(name, 64),
                               fmt::join(names, ", ")),
                   "model");
  const bool adapted = std::ranges::find(names, name) != names.end();
  return json_response(model_json(service, loaded, adapted ? name : loaded.model.name));
}

// tabbyAPI's, as SillyTavern reads it.
http::Response tabby_model(Service& service, const http::Request&) {
  const LoadedModel& loaded = service.loaded();
  Json model = model_json(service, loaded, loaded.model.name);
  model["parameters"] = {{"max_seq_len", loaded.model.context_length},
                         {"max_batch_size", loaded.slots},
                         {"prompt_template", loaded.model.text.format_choice().plugin.name}};
  return json_response(model);
}

// llama.cpp's.
http::Response llama_props(Service& service, const http::Request&) {
  const LoadedModel& loaded = service.loaded();
  return json_response({{"default_generation_settings", {{"n_ctx", loaded.model.context_length}}},
                        {"total_slots", loaded.slots},
                        {"model_path", loaded.model_folder},
                        {"chat_template", ""},
                        {"system_fingerprint", loaded.model.fingerprint},
                        {"batch_invariant", loaded.model.batch_invariant},
                        {"build_info", "ropewalk " + service.version()}});
}

// sglang-router's question.
http::Response model_info(Service& service, const http::Request&) {
  const LoadedModel& loaded = service.loaded();
  return json_response({{"model_path", loaded.model.name},
                        {"tokenizer_path", loaded.model.name},
                        {"is_generation", true}});
}

http::Response version(Service& service, const http::Request&) {
  const LoadedModel* loaded = service.loaded_or_null();
  return json_response(
      {{"version", service.version()},
       {"batch_invariant", loaded ? Json(loaded->model.batch_invariant) : Json(nullptr)}});
}

}  // namespace ropewalk::serve
