// running_server.h — the built `ropewalk serve` on a port of its own, asked over plain sockets.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/apps/program.h"
#include "tests/http/client.h"
#include "tests/patience.h"

namespace ropewalk::test {

// Ready when it is there, on a port of its own.
class RunningServer {
 public:
  explicit RunningServer(const std::string& config, const Arguments& more = {}) {
    Arguments arguments = {"serve",       config,  "--listen",
                           "127.0.0.1:0", "--set", "serve.drain.delay=0"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    program.emplace(arguments);
    if (!program->wait_for_output("\n")) {
      ADD_FAILURE() << "not ready: " << program->finish().err;
      return;
    }
    const std::string line = program->output();
    address = line.substr(line.find("http://") + 7);
    address.pop_back();
  }

  Answer get(const std::string& path, const std::string& headers = "") const {
    return Client(address).ask("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers +
                               "\r\n");
  }
  static std::string post_bytes(const std::string& path, const Json& body,
                                const std::string& headers = "") {
    const std::string text = body.is_string() ? body.get<std::string>() : body.dump();
    return "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
           headers + "Content-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text;
  }
  Answer post(const std::string& path, const Json& body, const std::string& headers = "") const {
    return Client(address).ask(post_bytes(path, body, headers));
  }
  Json ask(const std::string& path, const Json& body) const {
    const Answer answer = post(path, body);
    EXPECT_EQ(answer.status, 200) << answer.body;
    return Json::parse(answer.body);
  }
  // The events of a stream; its end must be [DONE].
  std::vector<Json> stream(const std::string& path, const Json& body) const {
    const Answer answer = post(path, body);
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(answer.header("content-type"), "text/event-stream; charset=utf-8");
    EXPECT_TRUE(answer.whole);
    EXPECT_TRUE(answer.body.starts_with(": ropewalk\n\n"));
    EXPECT_TRUE(answer.body.ends_with("data: [DONE]\n\n"));
    std::vector<Json> events;
    for (size_t at = 0; (at = answer.body.find("data: {", at)) != std::string::npos; ++at)
      events.push_back(
          Json::parse(answer.body.substr(at + 6, answer.body.find('\n', at) - at - 6)));
    return events;
  }
  // A sample of /metrics without its labels; -1: there is none.
  double metric(const std::string& name) const {
    const std::string text = get("/metrics").body;
    const size_t at = text.find("\n" + name + "{");
    return at == std::string::npos ? -1 : std::stod(text.substr(text.find("} ", at) + 2));
  }
  // Waits until it does.
  bool reaches(const std::string& name, double value) const {
    return eventually([&] { return metric(name) == value; });
  }
  Outcome stop() {
    program->signal(SIGTERM);
    return program->finish();
  }

  std::optional<Program> program;
  std::string address;
};

}  // namespace ropewalk::test
