// Whole requests and answers over real sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/http/test_server.h"

namespace ropewalk::test {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

// Whatever the answer is, a refusal too.
TEST(HttpRequest, HooksAddHeadersToEveryAnswer) {
  TestServer server([](http::Settings&, http::Hooks& hooks) {
    hooks.headers = [](const http::Request& request) {
      return std::vector<http::Header>{{.name = "X-Path", .value = request.path}};
    };
  });
  Client client = server.connect();
  for (const char* line : {"GET /hello", "GET /probe", "OPTIONS /hello", "DELETE /hello",
                           "GET /nothing", "GET /throws", "GET /hello"}) {
    const std::string text = line;
    EXPECT_EQ(client.ask(text + " HTTP/1.1\r\nHost: h\r\n\r\n").header("x-path"),
              text.substr(text.find('/')))
        << line;
  }
}

TEST(HttpRequest, IsAnswered) {
  TestServer server;
  Client client = server.connect();
  const Answer answer = client.ask(get("/hello?you=1"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.whole);
  EXPECT_EQ(answer.body, "hello you=1");
  EXPECT_EQ(answer.header("content-type"), "text/plain");
  EXPECT_EQ(answer.header("connection"), "");
  EXPECT_THAT(answer.header("date"),
              MatchesRegex("[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} 2[0-9]{3} [0-9:]{8} GMT"));
  EXPECT_THAT(answer.header("x-request-id"), MatchesRegex("[0-9a-f]{32}"));
}

TEST(HttpRequest, ABodyComesByLengthInChunksOrInPieces) {
  TestServer server;
  Client client = server.connect();
  EXPECT_EQ(client.ask(post("/echo", "by length")).body, "by length");
  EXPECT_EQ(client.ask(post("/echo", "")).body, "");
  EXPECT_EQ(client
                .ask("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "3\r\nin \r\n6;name=value;x=\"y z\"\r\nchunks\r\n0\r\nHost: other\r\n\r\n")
                .body,
            "in chunks");
  const std::string request = post("/echo", "in pieces");
  for (const char byte : request) client.send({&byte, 1});
  EXPECT_EQ(client.read().body, "in pieces");
  const std::string large(3 << 20, 'x');
  EXPECT_EQ(client.ask(post("/echo", large)).body, large);
}

TEST(HttpRequest, PipelinedRequestsAreAnsweredInOrder) {
  TestServer server;
  Client client = server.connect();
  client.send(get("/hello?1") + get("/probe") + post("/echo", "three") + get("/probe") +
              get("/hello?5"));
  EXPECT_EQ(client.read().body, "hello 1");
  EXPECT_EQ(client.read().body, "ok");
  EXPECT_EQ(client.read().body, "three");
  EXPECT_EQ(client.read().body, "ok");
  EXPECT_EQ(client.read().body, "hello 5");
}

TEST(HttpRequest, KeepAliveEndsWhenTheClientSaysSo) {
  TestServer server;
  Client client = server.connect();
  const Answer last = client.ask("GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(last.status, 200);
  EXPECT_EQ(last.header("connection"), "close");
  EXPECT_EQ(client.wait_for_end(), End::closed);

  Client old = server.connect();
  const Answer answer = old.ask("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(answer.body, "hello ");
  EXPECT_EQ(answer.header("connection"), "close");
  EXPECT_EQ(old.wait_for_end(), End::closed);
}

TEST(HttpRequest, HeadHasTheHeadersOfGetAndNoBody) {
  TestServer server;
  Client client = server.connect();
  client.send("HEAD /hello?a HTTP/1.1\r\nHost: h\r\n\r\n");
  const Answer answer = client.read(true);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("content-length"), "7");
  EXPECT_EQ(client.ask(get("/probe")).body, "ok");  // no byte of a body in between
}

TEST(HttpRequest, OptionsAndWrongMethodsNameTheRightOnes) {
  TestServer server;
  Client client = server.connect();
  const Answer options = client.ask("OPTIONS /hello HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(options.status, 204);
  EXPECT_EQ(options.header("allow"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(options.header("content-length"), "");
  EXPECT_EQ(options.header("access-control-allow-origin"), "");
  EXPECT_EQ(client.ask("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").header("allow"),
            "GET, HEAD, POST, OPTIONS");
  const Answer wrong = client.ask("DELETE /echo HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.header("allow"), "POST, OPTIONS");
  EXPECT_EQ(wrong.body, "method_not_allowed: method: found \"DELETE\", expected POST, OPTIONS");
  EXPECT_EQ(client.ask("OPTIONS /nothing HTTP/1.1\r\nHost: h\r\n\r\n").status, 404);
}

TEST(HttpRequest, AnUnknownPathIsA404InTheOwnersForm) {
  TestServer server;
  Client client = server.connect();
  const Answer answer = client.ask(get("/no%20where?x=secret"));
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.body, "unknown_url: path: \"/no where\" is unknown");
  EXPECT_EQ(answer.header("content-type"), "application/json");
  EXPECT_EQ(client.ask(get("/things/a%2Fb/c")).body, "a/b/c");  // and the connection lives on
  EXPECT_EQ(client.ask(get("/things/")).status, 404);
}

TEST(HttpRequest, WithoutTheOwnersFormARefusalIsPlainText) {
  TestServer server([](http::Settings&, http::Hooks& hooks) { hooks.refusal = {}; });
  const Answer answer = server.connect().ask(get("/nowhere"));
  EXPECT_EQ(answer.header("content-type"), "text/plain; charset=utf-8");
  EXPECT_EQ(answer.body, "path: \"/nowhere\" is unknown.\n");
}

TEST(HttpRequest, JsonIsAskedForByTheRoute) {
  TestServer server;
  Client client = server.connect();
  EXPECT_EQ(client.ask(post("/json", "{}", "Content-Type: application/json\r\n")).body, "{}");
  EXPECT_EQ(
      client.ask(post("/json", "{}", "Content-Type: Application/JSON ; charset=utf-8\r\n")).status,
      200);
  const Answer form =
      client.ask(post("/json", "a=b", "Content-Type: application/x-www-form-urlencoded\r\n"));
  EXPECT_EQ(form.status, 415);
  EXPECT_THAT(form.body, HasSubstr("not_json"));
  EXPECT_EQ(server.connect().ask(post("/json", "{}")).status, 415);
  EXPECT_EQ(server.connect().ask(post("/json", "{}", "Content-Type: application/jsonl\r\n")).status,
            415);
}

TEST(HttpRequest, CompressedBodiesAreRefused) {
  TestServer server;
  EXPECT_EQ(server.connect().ask(post("/echo", "x", "Content-Encoding: gzip\r\n")).status, 415);
  EXPECT_EQ(server.connect().ask(post("/echo", "x", "Content-Encoding: identity\r\n")).status, 200);
}

TEST(HttpRequest, WaitsForAHundredAndGetsItOnlyWhereTheBodyIsWanted) {
  TestServer server;
  Client client = server.connect();
  const std::string expect = "Expect: 100-Continue\r\n";
  const auto head = [&](std::string_view path) {
    return "POST " + std::string(path) + " HTTP/1.1\r\nHost: h\r\n" + expect +
           "Content-Length: 5\r\n\r\n";
  };
  EXPECT_EQ(client.ask(head("/echo")).status, 100);
  EXPECT_EQ(client.ask("hello").body, "hello");
  client.send(head("/echo") + "at on");  // the body did not wait
  EXPECT_EQ(client.read().body, "at on");
  const Answer refused = client.ask(head("/nowhere"));
  EXPECT_EQ(refused.status, 404);
  EXPECT_EQ(refused.header("connection"), "close");
  EXPECT_EQ(client.wait_for_end(), End::closed);
  EXPECT_EQ(server.connect().ask(post("/echo", "x", "Expect: miracles\r\n")).status, 417);
}

TEST(HttpRequest, KeepsAWellFormedIdAndMakesOneForTheRest) {
  TestServer server;
  Client client = server.connect();
  const auto id_of = [&](const std::string& id) {
    return client.ask("GET /probe HTTP/1.1\r\nHost: h\r\nX-Request-Id: " + id + "\r\n\r\n")
        .header("x-request-id");
  };
  EXPECT_EQ(id_of("trace-1.A_b"), "trace-1.A_b");
  EXPECT_EQ(id_of(std::string(128, 'x')), std::string(128, 'x'));
  EXPECT_THAT(id_of(std::string(129, 'x')), MatchesRegex("[0-9a-f]{32}"));
  EXPECT_THAT(id_of("a b"), MatchesRegex("[0-9a-f]{32}"));
  EXPECT_THAT(id_of("\xc3\xa4"), MatchesRegex("[0-9a-f]{32}"));
  EXPECT_THAT(id_of(""), MatchesRegex("[0-9a-f]{32}"));
  EXPECT_NE(id_of(""), id_of(""));
  EXPECT_EQ(client.ask("GET /nowhere HTTP/1.1\r\nHost: h\r\nX-Request-Id: mine\r\n\r\n")
                .header("x-request-id"),
            "mine");
}

TEST(HttpRequest, TheGateComesBeforeTheBody) {
  TestServer server([](http::Settings&, http::Hooks& hooks) {
    hooks.gate = [](const http::Request& request) -> std::optional<http::Response> {
      if (request.header("authorization")) return std::nullopt;
      return http::Response{.status = 401,
                            .headers = {{.name = "WWW-Authenticate", .value = "Bearer"}},
                            .body = "no key for " + request.path};
    };
  });
  Client client = server.connect();
  const Answer refused =
      client.ask("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.body, "no key for /echo");
  EXPECT_EQ(refused.header("www-authenticate"), "Bearer");
  EXPECT_EQ(client.wait_for_end(), End::closed);
  EXPECT_EQ(server.connect().ask(post("/echo", "x", "Authorization: Bearer k\r\n")).body, "x");
}

TEST(HttpRequest, AHandlerThatThrowsOrForgetsIsA500) {
  TestServer server;
  Client client = server.connect();
  const Answer thrown = client.ask(get("/throws"));
  EXPECT_EQ(thrown.status, 500);
  EXPECT_EQ(thrown.body, "internal: the request failed");
  client.send(post("/later", ""));
  server.calls.take().value();  // and dropped
  EXPECT_EQ(client.read().status, 500);
  EXPECT_EQ(client.ask(get("/probe")).status, 200);
}

TEST(HttpRequest, TheFirstAnswerCounts) {
  TestServer server;
  Client client = server.connect();
  client.send(post("/later", ""));
  const Call call = server.calls.take().value();
  call.reply->send({.body = "first"});
  call.reply->send({.body = "second"});
  call.reply->begin({.body = "third"});
  EXPECT_EQ(call.reply->write("fourth"), http::Write::closed);
  EXPECT_EQ(client.read().body, "first");
  EXPECT_EQ(client.ask(get("/probe")).body, "ok");
}

TEST(HttpRequest, NothingQuotedCanEndAHeader) {
  TestServer server;
  Client client = server.connect();
  client.send(post("/later", ""));
  server.calls.take().value().reply->send(
      {.content_type = "text/plain\r\nX-Evil: 1", .headers = {{"X-A", "b\nSet-Cookie: c\x01"}}});
  const Answer answer = client.read();
  EXPECT_EQ(answer.header("x-evil"), "");
  EXPECT_EQ(answer.header("set-cookie"), "");
  EXPECT_EQ(answer.header("x-a"), "b?Set-Cookie: c?");
}

TEST(HttpRequest, IsLoggedWithoutItsQueryAndBody) {
  TestServer server;
  Client client = server.connect();
  client.ask(
      "POST /echo?key=secret HTTP/1.1\r\nHost: h\r\nX-Request-Id: me\r\n"
      "Content-Length: 4\r\n\r\nbody");
  const http::AccessRecord record = server.records.take().value();
  EXPECT_EQ(record.id, "me");
  EXPECT_EQ(record.method, "POST");
  EXPECT_EQ(record.path, "/echo");
  EXPECT_THAT(record.peer, MatchesRegex("127\\.0\\.0\\.1:[0-9]+"));
  EXPECT_EQ(record.status, 200);
  EXPECT_EQ(record.outcome, http::Outcome::answered);
  EXPECT_EQ(record.bytes_in, 4u);
  EXPECT_EQ(record.bytes_out, 4u);
  EXPECT_GT(record.duration.count(), 0);
  client.ask(get("/nowhere"));
  EXPECT_EQ(server.records.take().value().status, 404);
  server.connect().ask("rubbish\r\n\r\n");
  const http::AccessRecord rubbish = server.records.take().value();
  EXPECT_EQ(rubbish.status, 400);
  EXPECT_EQ(rubbish.path, "");
  EXPECT_EQ(rubbish.id.size(), 32u);
}

}  // namespace
}  // namespace ropewalk::test
