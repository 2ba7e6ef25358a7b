#include "core/http/conversation.h"

#include <algorithm>
#include <cctype>
#include <exception>
#include <iterator>
#include <utility>

#include "core/base/log.h"
#include "core/http/refused.h"
#include "core/json/json.h"

namespace ropewalk::http {
namespace {

bool is_request_id(std::string_view id) {
  return !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return c < 0x80 && (std::isalnum(c) || c == '.' || c == '_' || c == '-');
  });
}

bool is_json(const Request& request) {
  const std::string* const type = request.header("content-type");
  if (!type) return false;
  std::string media = type->substr(0, type->find(';'));
  media.erase(media.find_last_not_of(" \t") + 1);
  for (char& c : media) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return media == "application/json";
}

Refusal draining() {
  return {.status = 503, .code = "draining", .message = "the server is shutting down"};
}

// A handler that throws drops its Reply, which answers with a 500.
void run(const Route& route, Request request, std::shared_ptr<Reply> reply) {
  if (reply->cancelled()) return;
  try {
    route.handler(std::move(request), std::move(reply));
  } catch (const std::exception& error) {
    warn(route.method + " " + route.path + ": " + error.what());
  }
}

}  // namespace

Conversation::Conversation(Service& service, std::string peer, std::function<void()> wake)
    : service_(service), peer_(std::move(peer)), wake_(std::move(wake)), reader_(service.limits) {}

Conversation::~Conversation() {
  if (exchange_) lose(Cancel::client);
}

void Conversation::receive(std::string_view bytes) {
  if (phase_ == Phase::closing || phase_ == Phase::reset) return;
  if (phase_ == Phase::answering && close_) return;  // the rest of a refused request
  reader_.append(bytes);
  if (reading()) return advance();
  if (reader_.buffered() > service_.limits.pipelined) lose(Cancel::client);
}

void Conversation::advance() {
  try {
    while (reading()) {
      switch (reader_.advance()) {
        case RequestReader::Event::more:
          count_body();
          phase_ = exchange_ ? Phase::body : reader_.idle() ? Phase::idle : Phase::head;
          return;
        case RequestReader::Event::head:
          on_head();
          break;
        case RequestReader::Event::complete:
          count_body();
          dispatch();
          break;
      }
    }
  } catch (const Refused& refused) {
    // After a malformed request nobody knows where the next one starts.
    if (refused.refusal().status == 400 || refused.refusal().status == 505) close_ = true;
    answer_refusal(refused.refusal(), {});
  }
}

// Opens the record and the exchange of a request whose head has arrived, readable or not.
void Conversation::begin() {
  Request& request = reader_.request();
  const std::string* const id = request.header("x-request-id");
  request.id = id && is_request_id(*id) ? *id : service_.make_id();
  request.peer = peer_;
  record_ = {.id = request.id,
             .method = request.method,
             .path = request.path,
             .peer = peer_,
             .status = 0,
             .outcome = Outcome::answered,
             .bytes_in = 0,
             .bytes_out = 0,
             .duration = {}};
  begun_ = std::chrono::steady_clock::now();
  if (service_.hooks.headers) more_headers_ = service_.hooks.headers(request);
  exchange_ = std::make_shared<Exchange>(service_.limits.stream, wake_);
  ++service_.answering;
}

void Conversation::on_head() {
  begin();
  Request& request = reader_.request();
  match_ = service_.router.find(request.method, request.path);
  const bool probe = match_.route && match_.route->run_on == RunOn::io_thread;
  if (service_.draining && !probe) return answer_refusal(draining(), {});
  if (match_.allow.empty())
    refuse(404, "unknown_url", "path: " + in_quotes(request.path) + " is unknown");
  if (request.method == "OPTIONS")
    return answer({.status = 204, .headers = {{.name = "Allow", .value = match_.allow}}});
  if (!match_.route)
    return answer_refusal(
        {.status = 405,
         .code = "method_not_allowed",
         .message = "method: found " + in_quotes(request.method) + ", expected " + match_.allow},
        {{.name = "Allow", .value = match_.allow}});
  request.rest = match_.rest;
  if (service_.hooks.gate)
    if (std::optional<Response> refusal = service_.hooks.gate(request))
      return answer(std::move(*refusal));
  if (match_.route->accepts == Accepts::json && !is_json(request))
    refuse(415, "not_json", "Content-Type: expected application/json");
  if (reader_.expects_continue() && !reader_.body_is_complete() && reader_.buffered() == 0)
    output_ += "HTTP/1.1 100 Continue\r\n\r\n";
}

void Conversation::count_body() {
  const uint64_t now = reader_.request().body.size();
  service_.bodies += now - body_bytes_;
  body_bytes_ = now;
  if (service_.bodies > service_.limits.bodies)
    refuse(503, "bodies_full", "the bodies of all requests together are too large just now");
}

void Conversation::dispatch() {
  phase_ = Phase::answering;
  Request request = std::move(reader_.request());
  const std::shared_ptr<Reply> reply = reply_of(exchange_);
  const Route& route = *match_.route;
  if (route.run_on == RunOn::io_thread) {
    run(route, std::move(request), reply);
    return pump();
  }
  service_.run_on_worker([&route, request = std::move(request), reply]() mutable {
    run(route, std::move(request), std::move(reply));
  });
}

void Conversation::answer_refusal(const Refusal& refusal, std::vector<Header> headers) {
  if (!exchange_) begin();
  Response response{.content_type = "text/plain; charset=utf-8", .body = refusal.message + ".\n"};
  if (service_.hooks.refusal) response = service_.hooks.refusal(refusal);
  response.status = refusal.status;
  for (Header& header : headers) response.headers.push_back(std::move(header));
  answer(std::move(response));
}

// An answer of our own. Does not wait for the rest of the request.
void Conversation::answer(Response response) {
  phase_ = Phase::answering;
  if (!reader_.body_is_complete()) close_ = true;
  exchange_->send(std::move(response));
  pump();
}

void Conversation::pump() {
  // While bytes are being sent, new pieces collect and leave together.
  if (phase_ != Phase::answering || !output().empty() || last_written_) return;
  Exchange::Output next = exchange_->take();
  if (next.abandoned && !next.ended) {
    if (head_written_ || next.head) return drop(Outcome::failed);
    if (record_.outcome == Outcome::shutdown) return answer_refusal(draining(), {});
    return answer_refusal({.status = 500, .code = "internal", .message = "the request failed"}, {});
  }
  if (next.head) write_head(*next.head, next.kind);
  write_body(next.bytes);
  if (output().empty()) exchange_->sent();  // there may be bytes where there is no body
  if (!next.ended || !head_written_) return;
  if (framing_ == Framing::chunked && has_body_) output_ += kLastChunk;
  last_written_ = true;
  if (output().empty()) finish();
}

void Conversation::write_head(Response& head, Exchange::Kind kind) {
  close_ = close_ || service_.draining || !reader_.keep_alive();
  framing_ = Framing::length;
  if (kind == Exchange::Kind::stream)
    framing_ = reader_.is_http_1_1() ? Framing::chunked : Framing::until_close;
  if (framing_ == Framing::until_close) close_ = true;
  std::ranges::move(more_headers_, std::back_inserter(head.headers));
  more_headers_.clear();
  output_ += response_head(head, {.framing = framing_,
                                  .length = head.body.size(),
                                  .id = record_.id,
                                  .date = service_.date(),
                                  .close = close_});
  head_written_ = true;
  has_body_ = record_.method != "HEAD" && head.status != 204;
  record_.status = head.status;
  if (kind == Exchange::Kind::whole) write_body(head.body);
}

void Conversation::write_body(std::string_view bytes) {
  if (bytes.empty() || !has_body_) return;
  output_ += framing_ == Framing::chunked ? chunk(bytes) : std::string(bytes);
  record_.bytes_out += bytes.size();
}

void Conversation::consume(size_t bytes) {
  sent_ += bytes;
  if (sent_ < output_.size()) return;
  output_.clear();
  sent_ = 0;
  if (last_written_) return finish();
  if (exchange_) exchange_->sent();
  pump();
}

// The request is over, answered or not.
void Conversation::release() {
  service_.bodies -= body_bytes_;
  record_.bytes_in = std::exchange(body_bytes_, 0);
  record_.duration = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - begun_);
  exchange_->detach();
  exchange_.reset();
  --service_.answering;
  ++service_.requests;
  ++served_;
  if (service_.hooks.access) service_.hooks.access(record_);
}

void Conversation::finish() {
  release();
  head_written_ = last_written_ = false;
  phase_ = close_ ? Phase::closing : Phase::idle;
  if (close_) return;
  reader_.next();
  advance();
}

void Conversation::lose(Cancel why) {
  if (exchange_) exchange_->cancel(why);
  drop(why == Cancel::client    ? Outcome::client
       : why == Cancel::stalled ? Outcome::stalled
                                : Outcome::shutdown);
}

void Conversation::drop(Outcome outcome) {
  phase_ = Phase::reset;
  output_.clear();
  sent_ = 0;
  record_.outcome = outcome;
  if (exchange_) release();
}

void Conversation::time_out() {
  const bool head = phase_ == Phase::head;
  answer_refusal({.status = 408,
                  .code = head ? "headers_timeout" : "body_timeout",
                  .message = head ? "the request's headers took too long"
                                  : "the request's body took too long"},
                 {});
}

void Conversation::turn_away(Refusal refusal) {
  close_ = true;
  answer_refusal(refusal, {});
}

void Conversation::drain() {
  close_ = true;
  if (phase_ == Phase::idle) phase_ = Phase::closing;
}

void Conversation::shut_down() {
  close_ = true;
  if (phase_ != Phase::answering) return lose(Cancel::shutdown);
  record_.outcome = Outcome::shutdown;
  exchange_->cancel(Cancel::shutdown);
}

}  // namespace ropewalk::http
