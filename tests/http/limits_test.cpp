// Limits of size, number and time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/http/test_server.h"

namespace ropewalk::test {
namespace {

using std::chrono::milliseconds;
using ::testing::StartsWith;

auto with(std::function<void(http::Limits&)> change) {
  return [change](http::Settings& settings, http::Hooks&) { change(settings.limits); };
}

TEST(HttpLimits, ASlowHeadIsA408) {
  TestServer server(with([](http::Limits& limits) { limits.head_time = milliseconds(50); }));
  Client client = server.connect();
  const Answer answer = client.ask("GET /probe HTTP/1.1\r\nHo");
  EXPECT_EQ(answer.status, 408);
  EXPECT_THAT(answer.body, StartsWith("headers_timeout: "));
  EXPECT_EQ(answer.header("connection"), "close");
  EXPECT_EQ(client.wait_for_end(), End::closed);
}

TEST(HttpLimits, AHeadInDripsIsA408) {
  TestServer server(with([](http::Limits& limits) { limits.head_time = milliseconds(50); }));
  Client client = server.connect();
  const std::string request = "GET /probe HTTP/1.1\r\nX-A: " + std::string(8000, 'x');
  size_t sent = 0;
  const bool answered = eventually([&] {
    client.send(request.substr(sent++ % request.size(), 1));
    return server.records.size() > 0;
  });
  EXPECT_TRUE(answered) << "every byte has put the deadline off";
  EXPECT_EQ(client.read().status, 408);
}

TEST(HttpLimits, ASlowBodyIsA408) {
  TestServer server(with([](http::Limits& limits) { limits.body_time = milliseconds(50); }));
  Client client = server.connect();
  const Answer answer =
      client.ask("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf");
  EXPECT_EQ(answer.status, 408);
  EXPECT_THAT(answer.body, StartsWith("body_timeout: "));
}

TEST(HttpLimits, ABodyGetsTimeByItsSize) {
  TestServer server(with([](http::Limits& limits) {
    limits.body_time = milliseconds(0);
    limits.body_rate = 1;  // 5 bytes are given 5 s
  }));
  Client client = server.connect();
  client.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nfirst");
  EXPECT_EQ(client.wait_for_end(milliseconds(100)), End::open);
  EXPECT_EQ(client.ask("after").body, "firstafter");
}

TEST(HttpLimits, WhoAsksNothingIsClosedWithoutAWord) {
  TestServer server(with([](http::Limits& limits) {
    limits.head_time = milliseconds(50);
    limits.idle_time = milliseconds(50);
  }));
  EXPECT_EQ(server.connect().read_all(), "");
  Client used = server.connect();
  EXPECT_EQ(used.ask(get("/probe")).status, 200);
  EXPECT_EQ(used.read_all(), "");
}

TEST(HttpLimits, ALingeringClientIsClosedInTheEnd) {
  TestServer server(with([](http::Limits& limits) { limits.linger_time = milliseconds(50); }));
  Client client = server.connect();
  EXPECT_EQ(client.ask("rubbish\r\n\r\n").status, 400);
  EXPECT_TRUE(eventually([&] { return server.server->counts().connections == 0; }));
}

TEST(HttpLimits, AnEarlyRefusalIsReadThoughTheBodyComesAfterIt) {
  TestServer server(with([](http::Limits& limits) { limits.body = 1000; }));
  Client client = server.connect();
  client.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\n");
  client.send(std::string(3'000'000, 'x'));  // all of it, whether wanted or not
  const Answer answer = client.read();
  EXPECT_EQ(answer.status, 413);
  EXPECT_TRUE(answer.whole);
  EXPECT_EQ(answer.body, "body_too_large: request body: more than 1000 bytes");
}

TEST(HttpLimits, AllBodiesTogetherAreBounded) {
  TestServer server(with([](http::Limits& limits) { limits.bodies = 1500; }));
  Client first = server.connect();
  first.send(post("/later", std::string(1000, 'x')));
  const Call call = server.calls.take().value();
  const Answer second = server.connect().ask(post("/echo", std::string(1000, 'x')));
  EXPECT_EQ(second.status, 503);
  EXPECT_THAT(second.body, StartsWith("bodies_full: "));
  EXPECT_EQ(server.connect().ask(post("/echo", std::string(100, 'x'))).status, 200);
  call.reply->send({});
  EXPECT_EQ(first.read().status, 200);
  EXPECT_EQ(server.connect().ask(post("/echo", std::string(1000, 'x'))).status, 200);
}

TEST(HttpLimits, WhoPipelinesTooMuchIsReset) {
  TestServer server(with([](http::Limits& limits) { limits.pipelined = 1000; }));
  Client client = server.connect();
  client.send(post("/later", ""));
  const Call call = server.calls.take().value();
  for (int i = 0; i < 100; ++i) client.send(get("/probe"));
  EXPECT_NE(client.wait_for_end(), End::open);  // the reset itself may end a send()
  EXPECT_EQ(call.reply->cancelled(), http::Cancel::client);
}

TEST(HttpLimits, OneAddressHasItsShare) {
  TestServer server(with([](http::Limits& limits) { limits.connections_per_address = 2; }));
  Client first = server.connect();
  Client second = server.connect();
  EXPECT_EQ(first.ask(get("/probe")).status, 200);
  EXPECT_EQ(second.ask(get("/probe")).status, 200);
  Client third = server.connect();
  const Answer refused = third.read();
  EXPECT_EQ(refused.status, 429);
  EXPECT_THAT(refused.body, StartsWith("rate_limited: "));
  EXPECT_EQ(third.wait_for_end(), End::closed);
  first.close();
  third.close();
  EXPECT_TRUE(eventually([&] { return server.server->counts().connections == 1; }));
  EXPECT_EQ(server.connect().ask(get("/probe")).status, 200);
}

TEST(HttpLimits, BeyondAllConnectionsOneWaitsForAnEnd) {
  TestServer server(with([](http::Limits& limits) { limits.connections = 2; }));
  Client first = server.connect();
  Client second = server.connect();
  EXPECT_EQ(first.ask(get("/probe")).status, 200);
  EXPECT_EQ(second.ask(get("/probe")).status, 200);
  Client third = server.connect();  // in the queue of the system
  third.send(get("/probe"));
  EXPECT_EQ(third.wait_for_end(milliseconds(50)), End::open);
  EXPECT_EQ(server.server->counts().connections, 2u);
  first.close();
  EXPECT_EQ(third.read().status, 200);
}

}  // namespace
}  // namespace ropewalk::test
