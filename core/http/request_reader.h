// request_reader.h — bytes become requests, one after the other; no socket and no clock.
//
// head_scan.h checks first, then Boost.Beast parses. Framing is stricter than Beast's: one
// Content-Length of digits alone, or Transfer-Encoding: chunked alone. Trailers are dropped.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/http/head_scan.h"
#include "core/http/limits.h"
#include "core/http/message.h"

namespace ropewalk::http {

class RequestReader {
 public:
  explicit RequestReader(const Limits& limits);  // REQUIRES: `limits` outlive this
  ~RequestReader();

  enum class Event {
    more,      // needs more bytes
    head,      // all but the body has been read: once for each request
    complete,  // the request is complete; it stays until next()
  };

  void append(std::string_view bytes);
  // The next event. Throws Refused; the reader cannot be used afterwards.
  Event advance();
  // Goes on to the next request, with the bytes that came after this one. REQUIRES: complete.
  void next();

  const Request& request() const { return request_; }
  Request& request() { return request_; }
  // REQUIRES: the request's head has been read.
  bool keep_alive() const { return keep_alive_; }
  bool is_http_1_1() const { return http_1_1_; }
  bool body_is_complete() const { return stage_ == Stage::complete; }
  bool expects_continue() const { return expects_continue_; }

  bool idle() const { return stage_ == Stage::head && buffer_.empty(); }
  size_t buffered() const { return buffer_.size(); }  // bytes not yet parsed

 private:
  class Parser;
  enum class Stage { head, body, complete };

  void read_head();
  void read_body();
  size_t put(std::string_view bytes);
  void check_head();

  const Limits& limits_;
  std::string buffer_;
  HeadScan scan_;
  Request request_;
  std::unique_ptr<Parser> parser_;
  Stage stage_ = Stage::head;
  bool keep_alive_ = false, http_1_1_ = false, expects_continue_ = false;
};

}  // namespace ropewalk::http
