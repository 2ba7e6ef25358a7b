// http_fuzz.cpp — any bytes as a client's input, through the whole protocol and its routes, from
// memory: answers are well formed, and requests are the same however the bytes are cut.
//
// The first byte is the size of the pieces in which the rest arrives the second time.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/utf8.h"
#include "core/http/conversation.h"

namespace {

using namespace ropewalk::http;

void require(bool holds) {
  if (!holds) std::abort();
}

// Small, so that inputs reach them.
constexpr Limits kLimits{.request_line = 200,
                         .header_bytes = 300,
                         .headers = 6,
                         .body = 100,
                         .bodies = 150,
                         .pipelined = 1u << 20,
                         .stream = 20};

void check(const Request& request) {
  const auto control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  require(!request.method.empty() && request.path.starts_with('/'));
  require(std::none_of(request.path.begin(), request.path.end(), control));
  require(ropewalk::utf8_first_error(request.path) == std::string_view::npos);
  require(request.headers.size() <= kLimits.headers && request.body.size() <= kLimits.body);
  size_t framings = 0;
  for (const Header& header : request.headers) {
    framings += header.name == "content-length" || header.name == "transfer-encoding";
    require(!header.name.empty() && header.value.find_first_of("\r\n") == std::string::npos);
    require(header.value.find('\0') == std::string::npos);
  }
  require(framings <= 1 && !request.id.empty() && request.id.size() <= 128);
}

class Run {
 public:
  Run() : conversation_(service_, "fuzz", [this] { woken_ = true; }) {}

  void send(std::string_view bytes) {
    conversation_.receive(bytes);
    while (woken_ || !conversation_.output().empty()) {
      woken_ = false;
      conversation_.pump();
      const size_t some = (conversation_.output().size() + 1) / 2;
      answers_ += conversation_.output().substr(0, some);
      conversation_.consume(some);
    }
    const bool over = conversation_.phase() >= Conversation::Phase::closing;
    if (over) require(service_.bodies == 0 && service_.answering == 0);
    require(service_.bodies <= kLimits.bodies);
  }
  const std::vector<std::string>& requests() const { return requests_; }
  const std::string& answers() const { return answers_; }
  bool reset() const { return conversation_.phase() == Conversation::Phase::reset; }

 private:
  void note(const Request& request) {
    check(request);
    std::string all = request.method + " " + request.path + "?" + request.query + " ";
    for (const Header& header : request.headers) all += header.name + "=" + header.value + ";";
    requests_.push_back(all + request.body);
  }

  Route route(std::string method, std::string path,
              std::function<void(const Request&, const std::shared_ptr<Reply>&)> answer) {
    return {std::move(method), std::move(path), RunOn::io_thread, Accepts::anything,
            [this, answer](const Request& request, const std::shared_ptr<Reply>& reply) {
              note(request);
              answer(request, reply);
            }};
  }

  std::vector<Route> routes() {
    const auto echo = [](const Request& request, const std::shared_ptr<Reply>& reply) {
      reply->send({.headers = {{"X-Rest", request.rest + request.query}}, .body = request.body});
    };
    const auto stream = [](const Request& request, const std::shared_ptr<Reply>& reply) {
      reply->begin({.body = request.body});
      for (const char byte : request.body) reply->write({&byte, 1});
      reply->end();
    };
    return {route("GET", "/a/*", echo), route("POST", "/a", echo), route("GET", "/s", stream),
            route("POST", "/s", stream),
            // Forgets to answer, and to end.
            route("GET", "/f", [](const Request&, const std::shared_ptr<Reply>&) {}),
            route("GET", "/h", [](const Request&, const std::shared_ptr<Reply>& reply) {
              reply->begin({.body = "half"});
            })};
  }

  std::vector<std::string> requests_;
  std::string answers_;
  bool woken_ = false;
  Service service_{.limits = kLimits,
                   .router = Router(routes()),
                   .hooks = {},
                   .run_on_worker = {},
                   .make_id = [] { return std::string("made"); },
                   .date = [] { return std::string("now"); }};
  Conversation conversation_;
};

// Takes a number off the front of a line that ends there.
size_t number(std::string_view& rest, int base) {
  size_t digits = 0;
  const size_t value = std::stoul(std::string(rest.substr(0, 20)), &digits, base);
  rest.remove_prefix(digits);
  require(rest.starts_with("\r\n"));
  rest.remove_prefix(2);
  return value;
}

// Reads answers strictly and returns their statuses. Where the connection was reset, or the last
// answer ends with it, the end may be missing. An answer to HEAD has no body: what follows the head
// is told apart by how every answer begins.
std::vector<int> read_answers(std::string_view rest, bool reset) {
  constexpr std::string_view kBegin = "HTTP/1.1 ";
  std::vector<int> statuses;
  while (!rest.empty()) {
    require(rest.starts_with(kBegin));
    statuses.push_back(std::stoi(std::string(rest.substr(kBegin.size(), 3))));
    const size_t end = rest.find("\r\n\r\n");
    require(end != std::string_view::npos);
    const std::string_view head = rest.substr(0, end + 2);
    rest.remove_prefix(end + 4);
    if (statuses.back() == 100) continue;
    require(head.find("\r\nX-Request-Id: ") != std::string_view::npos);
    const bool no_body = rest.empty() || rest.starts_with(kBegin);
    const size_t length = head.find("\r\nContent-Length: ");
    if (head.find("\r\nTransfer-Encoding: chunked") != std::string_view::npos) {
      require(length == std::string_view::npos);
      for (size_t size = no_body ? 0 : 1; size > 0;) {
        if (rest.empty() && reset) return statuses;
        size = number(rest, 16);
        require(rest.size() >= size + 2 && rest.substr(size, 2) == "\r\n");
        rest.remove_prefix(size + 2);
      }
    } else if (length != std::string_view::npos) {
      std::string_view value = head.substr(length + 18);
      const size_t size = number(value, 10);
      require(no_body || rest.size() >= size);
      if (!no_body) rest.remove_prefix(size);
    } else if (statuses.back() != 204) {
      return statuses;  // until the connection closes
    }
  }
  return statuses;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > 4096) return 0;
  const size_t piece = std::max<size_t>(data[0], 1);
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  Run whole, pieces;
  whole.send(bytes);
  for (size_t at = 0; at < bytes.size(); at += piece) pieces.send(bytes.substr(at, piece));
  require(whole.requests() == pieces.requests());
  require(whole.reset() == pieces.reset());
  const std::vector<int> one = read_answers(whole.answers(), whole.reset());
  std::vector<int> other = read_answers(pieces.answers(), pieces.reset());
  // A body that is cut off may be asked for, and of two faults either may be seen first.
  other.erase(std::remove(other.begin(), other.end(), 100), other.end());
  std::vector<int> same = one;
  same.erase(std::remove(same.begin(), same.end(), 100), same.end());
  require(same.size() == other.size());
  for (size_t i = 0; i < same.size(); ++i)
    require(same[i] == other[i] || (same[i] >= 400 && other[i] >= 400));
  return 0;
}
