// endpoints.h — the table of routes, and the functions behind them.
//
// A plain endpoint returns its answer; a long one keeps the Reply and answers later. Both throw
// ApiError or Error where they refuse.
#pragma once

#include <memory>
#include <vector>

#include "core/http/reply.h"
#include "core/http/server.h"
#include "core/json/json_fwd.h"
#include "core/serve/service.h"

namespace ropewalk::serve {

using Body = const Json&;

std::vector<http::Route> make_routes(Service& service);

// Throws ApiError 400 invalid_json.
Json parse_body(const http::Request& request);

// models.cpp
http::Response list_models(Service& service, const http::Request& request);
http::Response one_model(Service& service, const http::Request& request);
http::Response tabby_model(Service& service, const http::Request& request);
http::Response llama_props(Service& service, const http::Request& request);
http::Response model_info(Service& service, const http::Request& request);
http::Response version(Service& service, const http::Request& request);

// tokens.cpp
http::Response tokenize(Service& service, const http::Request& request);
http::Response detokenize(Service& service, const http::Request& request);
http::Response tokenizer_info(Service& service, const http::Request& request);
http::Response tabby_encode(Service& service, const http::Request& request);
http::Response tabby_decode(Service& service, const http::Request& request);

// probes.cpp
http::Response health(Service& service, const http::Request& request);
http::Response live(Service& service, const http::Request& request);
http::Response metrics(Service& service, const http::Request& request);

// page.cpp
http::Response page(Service& service, const http::Request& request);

// generation.cpp
void completions(Service& service, const http::Request& request,
                 const std::shared_ptr<http::Reply>& reply);
void chat_completions(Service& service, const http::Request& request,
                      const std::shared_ptr<http::Reply>& reply);
void score_texts(Service& service, const http::Request& request,
                 const std::shared_ptr<http::Reply>& reply);
http::Response explain_request(Service& service, const http::Request& request);
http::Response render(Service& service, const http::Request& request);

}  // namespace ropewalk::serve
