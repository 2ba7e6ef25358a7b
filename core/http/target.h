// target.h — the target of a request line, taken apart. Source: RFC 9112, section 3.2.
#pragma once

#include <string>
#include <string_view>

namespace ropewalk::http {

struct Target {
  std::string path;       // decoded; "*" for OPTIONS *
  std::string query;      // as sent
  std::string authority;  // of "http://HOST:PORT/path"; it overrides the Host header
};

// Throws Refused (400): not one of the forms "/path?query", "http://host/path?query" and, for
// OPTIONS, "*"; a byte that is not printable ASCII; a bad %XX; a path that decodes to control bytes
// or to invalid UTF-8.
Target parse_target(std::string_view target, std::string_view method);

}  // namespace ropewalk::http
