#include "core/serve/run/responses.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/json/json.h"
#include "core/serve/answer/json_text.h"

namespace ropewalk::serve {
namespace {

constexpr size_t kMaxNames = 32;
constexpr size_t kLongestName = 64;

}  // namespace

http::Response json_response(const Json& json) {
  return {.content_type = "application/json", .body = json_text(json)};
}

http::Response error_response(const ApiError& error) {
  http::Response response = json_response(error.json());
  response.status = error.status();
  if (error.status() == 401) response.headers.push_back({"WWW-Authenticate", "Bearer"});
  if (error.retry_after() > 0)
    response.headers.push_back({"Retry-After", fmt::format("{}", error.retry_after())});
  return response;
}

void add_ignored(http::Response& response, const Told& told) {
  if (told.ignored.empty()) return;
  std::string names;
  for (size_t i = 0; i < std::min(told.ignored.size(), kMaxNames); ++i)
    names += (i == 0 ? "" : ",") + printable(told.ignored[i], kLongestName);
  response.headers.push_back({"X-Ropewalk-Ignored", std::move(names)});
}

ApiError refusal_error(Refusal refusal, Seconds retry_after) {
  const int seconds = std::clamp(static_cast<int>(std::ceil(retry_after.count())), 1, 60);
  switch (refusal) {
    case Refusal::queue_full:
      return ApiError(503, "queue_full", "The queue is full. Come again later.", "")
          .retry_in(seconds);
    case Refusal::draining:
    case Refusal::stopped:
      return ApiError(503, "draining", "This server is about to stop.", "").retry_in(1);
    case Refusal::device_lost:
      break;
  }
  return ApiError(503, "device_lost", "The device was lost.", "").retry_in(5);
}

ApiError ending_error(const Ending& ending) {
  switch (ending.cause) {
    case EndCause::queue_timeout:
      return ApiError(503, "queue_timeout", "The request waited for too long in the queue.", "")
          .retry_in(5);
    case EndCause::shutdown:
      return refusal_error(Refusal::draining, Seconds(0));
    case EndCause::slow_reader:
      return ApiError(408, "slow_reader", "Nobody read the answer.", "");
    default:
      return ending.error ? api_error(*ending.error)
                          : ApiError(500, "internal", "The request was cancelled.", "");
  }
}

}  // namespace ropewalk::serve
