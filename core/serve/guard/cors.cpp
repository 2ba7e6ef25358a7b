#include "core/serve/guard/cors.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "core/base/error.h"

namespace ropewalk::serve {
namespace {

constexpr std::string_view kSchemeBytes = "abcdefghijklmnopqrstuvwxyz0123456789+-.";
constexpr std::string_view kHostBytes = "abcdefghijklmnopqrstuvwxyz0123456789-._:[]";

// SCHEME://HOST or SCHEME://HOST:PORT, as browsers send it. "null" is no origin of anybody's.
bool is_origin(std::string_view text) {
  const size_t scheme = text.find("://");
  if (scheme == 0 || scheme == text.npos || scheme + 3 == text.size()) return false;
  return text.substr(0, scheme).find_first_not_of(kSchemeBytes) == text.npos &&
         text.substr(scheme + 3).find_first_not_of(kHostBytes) == text.npos;
}

}  // namespace

void check_origins(std::span<const std::string> origins) {
  for (const std::string& origin : origins)
    if (!is_origin(origin))
      throw Error(
          ExitCode::usage, "serve.cors.origins",
          fmt::format("found {}, expected SCHEME://HOST or SCHEME://HOST:PORT in lower case",
                      printable(origin)),
          "Write each origin as the browser's address bar shows it, without a path");
}

std::vector<http::Header> cors_headers(std::span<const std::string> origins,
                                       const http::Request& request) {
  if (origins.empty()) return {};
  std::vector<http::Header> headers = {{.name = "Vary", .value = "Origin"}};
  const std::string* const origin = request.header("origin");
  if (!origin || std::ranges::find(origins, *origin) == origins.end()) return headers;
  headers.push_back({.name = "Access-Control-Allow-Origin", .value = *origin});
  headers.push_back({.name = "Access-Control-Expose-Headers",
                     .value = "X-Request-Id, X-Ropewalk-Ignored, X-Ropewalk-Seed, Retry-After"});
  if (request.method != "OPTIONS" || !request.header("access-control-request-method"))
    return headers;
  headers.push_back({.name = "Access-Control-Allow-Methods", .value = "GET, POST"});
  headers.push_back({.name = "Access-Control-Max-Age", .value = "600"});
  // Clients send headers of their own, such as openai-node's x-stainless-lang.
  if (const std::string* asked = request.header("access-control-request-headers"))
    headers.push_back({.name = "Access-Control-Allow-Headers", .value = *asked});
  return headers;
}

}  // namespace ropewalk::serve
