// server.h — an HTTP/1.1 server: listens, reads requests, hands them to routes, sends answers.
//
// Threads: one for all sockets, which never waits for a handler, and a few workers on which
// handlers run. A handler that takes long keeps the Reply and answers later from a thread of its
// own. The server owns its threads and sockets; it knows nothing about the content it serves.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/http/limits.h"
#include "core/http/message.h"
#include "core/http/reply.h"

namespace ropewalk::http {

// Which thread calls a handler.
enum class RunOn {
  worker,
  io_thread,  // returns within microseconds; answered during a drain too: probes and metrics
};

enum class Accepts {
  anything,
  json,  // Content-Type: application/json, else 415
};

struct Route {
  std::string method;  // GET answers HEAD too; OPTIONS is answered by the server
  std::string path;    // "/v1/models", or "/v1/models/*" for any rest that is not empty
  RunOn run_on;
  Accepts accepts;
  // If it throws before it has answered, the answer is a 500.
  std::function<void(Request, std::shared_ptr<Reply>)> handler;
};

// How a request ended.
enum class Outcome {
  answered,
  client,  // the three as in Cancel
  stalled,
  shutdown,
  failed,  // the handler dropped a stream before its end
};

// One line of an access log; it holds no query, header or body.
struct AccessRecord {
  std::string id, method, path, peer;  // method and path are empty where they were unreadable
  int status;                          // 0 where the client left before the head was sent
  Outcome outcome;
  uint64_t bytes_in, bytes_out;        // of the bodies
  std::chrono::microseconds duration;  // from the request's head to the end of its answer
};

// All are called on the I/O thread and must return at once. Each may be empty.
struct Hooks {
  // Content type, headers and body for a refusal; the status is the refusal's. Empty: plain text.
  std::function<Response(const Refusal&)> refusal;
  // Checks a request before its body is read, for example its key; an answer ends the request.
  std::function<std::optional<Response>(const Request&)> gate;
  // More headers of the answer, whatever it is.
  std::function<std::vector<Header>(const Request&)> headers;
  std::function<void(const AccessRecord&)> access;
};

struct Settings {
  // ADDRESS:PORT with a numeric address ("127.0.0.1:8000", "[::1]:0"; [::] takes IPv4 too), or
  // unix:PATH. Port 0 lets the system choose.
  std::vector<std::string> listen;
  Limits limits;
  uint32_t workers = 2;  // at least 1
};

enum class Ended {
  finished,  // every request was answered
  cut,       // some were cancelled by the end of the grace or by stop()
};

struct Counts {
  uint32_t connections;  // open
  uint32_t answering;    // requests that are not answered yet
  uint64_t requests;     // answered or refused since the start
};

class Server {
 public:
  // The server listens when this returns. Throws Error (usage): an address malformed or in use.
  Server(Settings settings, std::vector<Route> routes, Hooks hooks);
  ~Server();  // stop()
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // The addresses it listens on, in the order and form of Settings::listen, with the chosen ports.
  const std::vector<std::string>& addresses() const;
  Counts counts() const;

  // Stops accepting, closes idle connections, refuses further requests (503, code draining) and
  // lets running ones finish. Those still running after `grace` are cancelled. Returns at once; a
  // second call changes nothing.
  void drain(std::chrono::milliseconds grace);
  // Returns when a drain is over.
  Ended wait();
  // Cancels everything, resets all connections and joins the threads.
  // REQUIRES: not called from the server's own threads; the same holds for wait().
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ropewalk::http
