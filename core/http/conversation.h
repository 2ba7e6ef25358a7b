// conversation.h — one client's requests and their answers, one after the other; it knows neither
// sockets nor clocks, so that tests and the fuzzer drive it from memory.
//
// Bytes go in by receive() and come out by output() and consume(). A request is matched to a route
// when its head has been read, then its body is read, its handler called and the answer sent; what
// the client sends meanwhile waits. Used on the I/O thread; handlers only reach it through their
// Exchange.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/http/exchange.h"
#include "core/http/request_reader.h"
#include "core/http/response_head.h"
#include "core/http/service.h"

namespace ropewalk::http {

class Conversation {
 public:
  // `wake` makes the I/O thread call pump(); it may be called from any thread. REQUIRES: `service`
  // outlives this.
  Conversation(Service& service, std::string peer, std::function<void()> wake);
  ~Conversation();
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  //   idle --> head --> body --> answering --> idle        nothing is left of a phase that a
  //     '-------'--------'-----------'---> closing         request does not need
  //     '----------------------------'---> reset
  enum class Phase {
    idle,       // no byte of a request has arrived
    head,       // a part of its head has
    body,       // its head and a part of its body have
    answering,  // all has; its answer has not been consumed completely
    closing,    // the last answer has been consumed
    reset,      // nothing more is to be sent: the connection must be reset
  };
  Phase phase() const { return phase_; }
  uint64_t served() const { return served_; }  // requests that were answered
  uint64_t body_received() const { return body_bytes_; }

  void receive(std::string_view bytes);
  std::string_view output() const { return std::string_view(output_).substr(sent_); }
  void consume(size_t bytes);  // of output(): they have been sent
  void pump();                 // moves the handler's answer to the output

  void lose(Cancel why);            // nobody reads any more
  void time_out();                  // the phase `head` or `body` has taken too long
  void turn_away(Refusal refusal);  // answers without a request
  void drain();                     // no further request; Service::draining is set
  void shut_down();                 // cancels the handler; what it still writes is sent

 private:
  void advance();
  void begin();
  void on_head();
  void dispatch();
  void count_body();
  void answer_refusal(const Refusal& refusal, std::vector<Header> headers);
  void answer(Response response);
  void write_head(Response& head, Exchange::Kind kind);
  void write_body(std::string_view bytes);
  void finish();
  void drop(Outcome outcome);
  void release();
  bool reading() const { return phase_ < Phase::answering; }

  Service& service_;
  const std::string peer_;
  const std::function<void()> wake_;
  RequestReader reader_;
  Phase phase_ = Phase::idle;
  uint64_t served_ = 0;

  // The current request:
  std::shared_ptr<Exchange> exchange_;  // from its head on
  Router::Match match_;
  AccessRecord record_;
  std::vector<Header> more_headers_;  // of its answer
  std::chrono::steady_clock::time_point begun_;
  uint64_t body_bytes_ = 0;
  Framing framing_ = Framing::length;
  bool head_written_ = false, has_body_ = true, last_written_ = false, close_ = false;

  std::string output_;
  size_t sent_ = 0;  // bytes of output_
};

}  // namespace ropewalk::http
