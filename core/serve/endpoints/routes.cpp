#include <utility>

#include "core/json/json.h"
#include "core/serve/endpoints/endpoints.h"
#include "core/serve/run/responses.h"

namespace ropewalk::serve {
namespace {

using Plain = http::Response (*)(Service&, const http::Request&);
using Long = void (*)(Service&, const http::Request&, const std::shared_ptr<http::Reply>&);

// Every refusal has the one shape. What is neither ApiError nor Error is a bug: the HTTP server
// makes a 500 of it.
template <class Call>
void guarded(const std::shared_ptr<http::Reply>& reply, Call&& call) {
  try {
    call();
  } catch (const ApiError& error) {
    reply->send(error_response(error));
  } catch (const Error& error) {
    reply->send(error_response(api_error(error)));
  }
}

http::Route plain(Service& service, std::string method, std::string path, http::RunOn where,
                  Plain endpoint) {
  const http::Accepts accepts = method == "POST" ? http::Accepts::json : http::Accepts::anything;
  return {std::move(method), std::move(path), where, accepts,
          [&service, endpoint](const http::Request& request,
                               const std::shared_ptr<http::Reply>& reply) {
            guarded(reply, [&] { reply->send(endpoint(service, request)); });
          }};
}

http::Route get(Service& service, std::string path, Plain endpoint) {
  return plain(service, "GET", std::move(path), http::RunOn::worker, endpoint);
}
http::Route probe(Service& service, std::string path, Plain endpoint) {
  return plain(service, "GET", std::move(path), http::RunOn::io_thread, endpoint);
}
http::Route post(Service& service, std::string path, Plain endpoint) {
  return plain(service, "POST", std::move(path), http::RunOn::worker, endpoint);
}
http::Route post_long(Service& service, std::string path, Long endpoint) {
  return {"POST", std::move(path), http::RunOn::worker, http::Accepts::json,
          [&service, endpoint](const http::Request& request,
                               const std::shared_ptr<http::Reply>& reply) {
            guarded(reply, [&] { endpoint(service, request, reply); });
          }};
}

}  // namespace

Json parse_body(const http::Request& request) {
  try {
    return parse_json(request.body, {"the body", ExitCode::usage, ""});
  } catch (const Error& error) {
    throw ApiError(400, "invalid_json", error.what(), "");
  }
}

std::vector<http::Route> make_routes(Service& service) {
  Service& s = service;
  std::vector<http::Route> routes = {
      probe(s, "/health", health),
      probe(s, "/ready", health),
      probe(s, "/ping", health),
      probe(s, "/live", live),
      probe(s, "/metrics", metrics),
      get(s, "/version", version),
      get(s, "/get_model_info", model_info),
      get(s, "/v1/models", list_models),
      get(s, "/v1/models/*", one_model),
      get(s, "/v1/model", tabby_model),
      get(s, "/v1/model/list", list_models),
      get(s, "/props", llama_props),
      post(s, "/tokenize", tokenize),
      post(s, "/v1/tokenize", tokenize),
      post(s, "/detokenize", detokenize),
      post(s, "/v1/detokenize", detokenize),
      get(s, "/tokenizer_info", tokenizer_info),
      get(s, "/v1/tokenizer_info", tokenizer_info),
      post(s, "/v1/token/encode", tabby_encode),
      post(s, "/v1/token/decode", tabby_decode),
      post(s, "/ropewalk/v1/explain", explain_request),
      post(s, "/ropewalk/v1/render", render),
      post_long(s, "/ropewalk/v1/score", score_texts),
      post_long(s, "/v1/completions", completions),
      post_long(s, "/v1/chat/completions", chat_completions),
  };
  const ServeConfig& serve = service.config().serve;
  if (serve.page.value_or(is_local(serve.listen))) routes.push_back(get(s, "/", page));
  if (serve.bare_paths) {
    routes.push_back(post_long(s, "/completions", completions));
    routes.push_back(post_long(s, "/chat/completions", chat_completions));
  }
  return routes;
}

}  // namespace ropewalk::serve
