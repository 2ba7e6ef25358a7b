// cors.h — which pages of other sites may read what the server answers: Cross-Origin Resource
// Sharing, as the Fetch standard says (https://fetch.spec.whatwg.org/#http-cors-protocol).
//
// A browser sends a page's origin and shows it an answer that names this origin. Before a POST of
// JSON it asks by OPTIONS. Cookies are never asked for: keys come in headers. Stateless.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/http/message.h"

namespace ropewalk::serve {

// Throws Error(usage) for what is no origin, such as "*" or an address with a path.
void check_origins(std::span<const std::string> origins);

// The headers of an answer to `request`; none without origins.
std::vector<http::Header> cors_headers(std::span<const std::string> origins,
                                       const http::Request& request);

}  // namespace ropewalk::serve
