// test_server.h — a server on a free port of the loopback with the routes that the tests ask for.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/http/server.h"
#include "tests/http/client.h"
#include "tests/patience.h"

namespace ropewalk::test {

// What other threads hand to the test.
template <class T>
class Mailbox {
 public:
  void put(T letter) {
    const std::lock_guard lock(mutex_);
    letters_.push_back(std::move(letter));
    changed_.notify_all();
  }
  // Waits for the next; nothing where none comes within `patience`.
  std::optional<T> take(std::chrono::milliseconds patience = kPatience) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, patience, [this] { return !letters_.empty(); })) return {};
    T letter = std::move(letters_.front());
    letters_.pop_front();
    return letter;
  }
  size_t size() const {
    const std::lock_guard lock(mutex_);
    return letters_.size();
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> letters_;
};

struct Call {
  http::Request request;
  std::shared_ptr<http::Reply> reply;
};

// GET /hello, GET /probe (on the I/O thread), POST /echo, POST /json (application/json only),
// GET /things/*, GET /throws, and POST /later, whose call lands in `calls`.
class TestServer {
 public:
  explicit TestServer(const std::function<void(http::Settings&, http::Hooks&)>& change = {}) {
    http::Settings settings{.listen = {"127.0.0.1:0"}, .limits = {}};
    http::Hooks hooks;
    hooks.access = [this](const http::AccessRecord& record) { records.put(record); };
    hooks.refusal = [](const http::Refusal& refusal) {
      return http::Response{.content_type = "application/json",
                            .body = std::string(refusal.code) + ": " + refusal.message};
    };
    if (change) change(settings, hooks);
    server = std::make_unique<http::Server>(std::move(settings), routes(), std::move(hooks));
  }

  const std::string& address() const { return server->addresses()[0]; }
  Client connect() const { return Client(address()); }

  // For handlers that outlive the server; declared first, so that they are destroyed last.
  Mailbox<Call> calls;
  Mailbox<http::AccessRecord> records;
  std::unique_ptr<http::Server> server;

 private:
  std::vector<http::Route> routes() {
    using enum http::RunOn;
    using enum http::Accepts;
    const auto text = [](std::string body) {
      return http::Response{.content_type = "text/plain", .body = std::move(body)};
    };
    return {
        {"GET", "/hello", worker, anything,
         [text](http::Request request, std::shared_ptr<http::Reply> reply) {
           reply->send(text("hello " + request.query));
         }},
        {"GET", "/probe", io_thread, anything,
         [text](const http::Request&, std::shared_ptr<http::Reply> reply) {
           reply->send(text("ok"));
         }},
        {"POST", "/echo", worker, anything,
         [text](http::Request request, std::shared_ptr<http::Reply> reply) {
           reply->send(text(std::move(request.body)));
         }},
        {"POST", "/json", worker, json,
         [text](http::Request request, std::shared_ptr<http::Reply> reply) {
           reply->send(text(std::move(request.body)));
         }},
        {"GET", "/things/*", worker, anything,
         [text](http::Request request, std::shared_ptr<http::Reply> reply) {
           reply->send(text(request.rest));
         }},
        {"GET", "/throws", worker, anything,
         [](http::Request, std::shared_ptr<http::Reply>) {
           throw std::runtime_error("no such luck");
         }},
        {"POST", "/later", worker, anything,
         [this](http::Request request, std::shared_ptr<http::Reply> reply) {
           calls.put({std::move(request), std::move(reply)});
         }},
    };
  }
};

// A request as a client writes it, with a Host and the length of its body.
inline std::string get(std::string_view path) {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: test\r\n\r\n";
}
inline std::string post(std::string_view path, std::string_view body,
                        std::string_view headers = "") {
  return "POST " + std::string(path) + " HTTP/1.1\r\nHost: test\r\n" + std::string(headers) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

}  // namespace ropewalk::test
