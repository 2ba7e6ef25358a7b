// message.h — a request as it was read and the response to it. Plain data.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ropewalk::http {

struct Header {
  std::string name;  // of a request in lower case
  std::string value;
};

struct Request {
  std::string method;           // as sent, such as GET
  std::string target;           // as sent, such as /v1/models/a%2Fb?x=1
  std::string path;             // its path with %XX decoded: UTF-8 without control bytes
  std::string rest;             // what the '*' of the route stands for
  std::string query;            // what follows '?', not decoded
  std::vector<Header> headers;  // in the order of arrival
  std::string body;
  std::string peer;  // "192.0.2.1:4711", "[2001:db8::1]:4711" or "unix"
  std::string id;    // X-Request-Id, or a generated one: [A-Za-z0-9._-]{1,128}

  // The value of the first header of this name; null where there is none.
  const std::string* header(std::string_view lower_case_name) const {
    for (const Header& header : headers)
      if (header.name == lower_case_name) return &header.value;
    return nullptr;
  }
};

// The server adds X-Request-Id, Date, Connection and the headers that frame the body. Control bytes
// in values are sent as '?', so that nothing quoted from a request can end a header.
struct Response {
  int status = 200;
  std::string content_type = {};  // empty: no such header
  std::vector<Header> headers = {};
  std::string body = {};
};

// A refusal by the server itself. Codes: bad_request, unknown_url, method_not_allowed,
// headers_timeout, body_timeout, body_too_large, url_too_long, not_json, compressed_body,
// expectation_failed, rate_limited, headers_too_large, internal, bodies_full, draining,
// http_version.
struct Refusal {
  int status;
  std::string_view code;
  std::string message;  // a sentence without its full stop; quotes at most 64 bytes of the client's
};

}  // namespace ropewalk::http
