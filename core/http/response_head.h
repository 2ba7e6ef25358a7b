// response_head.h — the bytes of a response before its body.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/http/message.h"

namespace ropewalk::http {

enum class Framing {
  length,   // Content-Length
  chunked,  // Transfer-Encoding: chunked
  until_close,
};

struct HeadFacts {
  Framing framing;
  uint64_t length;  // of the body, with Framing::length
  std::string_view id, date;
  bool close;
};

// "HTTP/1.1 200 OK\r\n ... \r\n\r\n".
std::string response_head(const Response& response, const HeadFacts& facts);

// `data` as a chunk of a chunked body. REQUIRES: not empty, which would end the body.
std::string chunk(std::string_view data);
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

// The current time in the form of RFC 9110, section 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT".
std::string http_date();

}  // namespace ropewalk::http
