#include <fmt/format.h>

#include <algorithm>

#include "core/json/json.h"
#include "core/serve/endpoints/endpoints.h"
#include "core/serve/run/responses.h"

namespace ropewalk::serve {
namespace {

Json model_json(const Service& service, const LoadedModel& loaded) {
  return {{"id", loaded.model.name},
          {"object", "model"},
          {"created", service.started()},
          {"owned_by", "ropewalk"},
          {"root", loaded.model_folder},
          {"parent", nullptr},
          {"max_model_len", loaded.model.context_length}};
}

}  // namespace

http::Response list_models(Service& service, const http::Request&) {
  return json_response(
      {{"object", "list"}, {"data", Json::array({model_json(service, service.loaded())})}});
}

http::Response one_model(Service& service, const http::Request& request) {
  const LoadedModel& loaded = service.loaded();
  const ServeConfig& serve = service.config().serve;
  const std::string& name = request.rest;
  if (name != loaded.model.name && !serve.any_model &&
      std::ranges::find(serve.aliases, name) == serve.aliases.end())
    throw ApiError(404, "model_not_found",
                   fmt::format("Found \"{}\", this server has \"{}\".", printable(name, 64),
                               loaded.model.name),
                   "model");
  return json_response(model_json(service, loaded));
}

// tabbyAPI's, as SillyTavern reads it.
http::Response tabby_model(Service& service, const http::Request&) {
  const LoadedModel& loaded = service.loaded();
  Json model = model_json(service, loaded);
  model["parameters"] = {{"max_seq_len", loaded.model.context_length},
                         {"max_batch_size", loaded.slots},
                         {"prompt_template", service.config().prompt.format.name}};
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
