#include "core/serve/service.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "core/serve/endpoints/endpoints.h"
#include "core/serve/guard/cors.h"
#include "core/serve/request/sampling_fields.h"
#include "core/serve/run/responses.h"

namespace ropewalk::serve {
namespace {

std::string name_of(const Config& config) {
  if (config.serve.model_name) return *config.serve.model_name;
  const std::filesystem::path folder = config.model.lexically_normal();
  return (folder.has_filename() ? folder : folder.parent_path()).filename().string();
}

http::Response refusal_response(const http::Refusal& refusal) {
  ApiError error(refusal.status, refusal.code, refusal.message + ".", "");
  if (refusal.status == 503) error.retry_in(1);
  return error_response(error);
}

}  // namespace

Service::Service(ServiceSettings settings)
    : settings_(std::move(settings)),
      model_name_(name_of(settings_.config)),
      started_(std::time(nullptr)),
      gate_(settings_.config.serve, settings_.keys),
      journal_(settings_.log),
      prompt_log_(settings_.config.serve.prompt_log) {
  check_sampling_names(settings_.config.serve);
  check_origins(settings_.config.serve.cors_origins);
  for (const http::Route& route : routes()) known_paths_.push_back(route.path);
}

std::vector<http::Route> Service::routes() { return make_routes(*this); }

http::Hooks Service::hooks() {
  return {.refusal = refusal_response,
          .gate = [this](const http::Request& request) -> std::optional<http::Response> {
            try {
              journal_.open(request.id, gate_.pass(request), request.header("traceparent"));
              return std::nullopt;
            } catch (const ApiError& error) {
              return error_response(error);
            }
          },
          .headers =
              [this](const http::Request& request) {
                return cors_headers(settings_.config.serve.cors_origins, request);
              },
          .access =
              [this](const http::AccessRecord& record) { journal_.access(record, known_paths_); }};
}

void Service::serve(LoadedModel model) {
  quotas_ = std::make_unique<Quotas>(settings_.config.serve.per_key, model.slots);
  loaded_ = std::make_unique<LoadedModel>(std::move(model));
  state_ = State::ready;
}

void Service::begin_drain() {
  State expected = State::ready;
  state_.compare_exchange_strong(expected, State::draining);
}

LoadedModel& Service::loaded() {
  if (LoadedModel* model = loaded_or_null()) return *model;
  throw ApiError(503, "model_loading", "The model is being loaded.", "").retry_in(5);
}

std::unique_ptr<Quotas::Share> Service::share(const http::Request& request, uint32_t replies,
                                              uint64_t prompt_tokens) {
  return quotas_->take(gate_.caller(request).digest, replies, prompt_tokens, Clock::now());
}

Terms Service::terms(const http::Request& request, const std::string& cache_salt,
                     std::optional<std::chrono::milliseconds> deadline) const {
  const ServeConfig& serve = settings_.config.serve;
  const std::chrono::milliseconds longest = std::chrono::seconds(serve.max_request_seconds);
  Terms terms;
  terms.cache_salt = cache_salt;
  const Caller caller = gate_.caller(request);
  terms.account = caller.number;
  if (caller.number > 0) terms.account_running = serve.per_key.running;
  // Digests are of one length, so no salt of one key is another's.
  if (serve.prefix_cache == PrefixCacheUse::per_key && gate_.has_strangers())
    terms.cache_salt = caller.digest + cache_salt;
  terms.deadline = Seconds(std::min(deadline.value_or(longest), longest));
  return terms;
}

}  // namespace ropewalk::serve
