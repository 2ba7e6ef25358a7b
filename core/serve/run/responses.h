// responses.h — what handlers answer with.
#pragma once

#include <memory>
#include <string>

#include "core/http/reply.h"
#include "core/json/json_fwd.h"
#include "core/schedule/scheduler.h"
#include "core/serve/api_error.h"
#include "core/serve/request/told.h"

namespace ropewalk::serve {

http::Response json_response(const Json& json);
// With WWW-Authenticate and Retry-After where they belong.
http::Response error_response(const ApiError& error);
// X-Ropewalk-Ignored, with at most 32 names; nothing where none was ignored.
void add_ignored(http::Response& response, const Told& told);

// Why a request was not taken, and what became of one that ended without a reply.
ApiError refusal_error(Refusal refusal, Seconds retry_after);
ApiError ending_error(const Ending& ending);

}  // namespace ropewalk::serve
