// A client that leaves is noticed at once, whatever the server is doing for it.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/http/test_server.h"

namespace ropewalk::test {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

struct Waiting {
  explicit Waiting(TestServer& server) : client(server.connect()) {
    client.send(post("/later", ""));
    reply = server.calls.take().value().reply;
    reply->watch({.cancelled = [this](http::Cancel why) { cancelled.put(why); }, .writable = {}});
  }
  Mailbox<http::Cancel> cancelled;
  Client client;
  std::shared_ptr<http::Reply> reply;
};

// From the client's leaving to the handler's knowing, while nothing is written.
Clock::duration delay_of(TestServer& server, void (Client::*leave)()) {
  Waiting waiting(server);
  const auto left = Clock::now();
  (waiting.client.*leave)();
  EXPECT_EQ(waiting.cancelled.take(), http::Cancel::client);
  const Clock::duration delay = Clock::now() - left;
  EXPECT_EQ(waiting.reply->cancelled(), http::Cancel::client);
  waiting.reply->send({.body = "for nobody"});
  const http::AccessRecord record = server.records.take().value();
  EXPECT_EQ(record.outcome, http::Outcome::client);
  EXPECT_EQ(record.status, 0);
  return delay;
}

TEST(HttpDisconnect, IsSeenWhileNothingIsWritten) {
  TestServer server;
  for (void (Client::*leave)() : {&Client::close, &Client::close_sending, &Client::reset}) {
    // The median of nine, because a busy machine may let one of them wait; and nine more where it
    // lets all wait.
    const auto median_delay = [&] {
      std::vector<Clock::duration> delays;
      for (int i = 0; i < 9; ++i) delays.push_back(delay_of(server, leave));
      std::nth_element(delays.begin(), delays.begin() + 4, delays.end());
      return delays[4];
    };
    EXPECT_TRUE(eventually([&] { return median_delay() < milliseconds(200); }));
  }
  EXPECT_TRUE(eventually([&] { return server.server->counts().connections == 0; }));
}

TEST(HttpDisconnect, IsSeenInAStream) {
  TestServer server;
  Waiting waiting(server);
  waiting.reply->begin({.body = "a"});
  waiting.client.read_head();
  waiting.client.close();
  EXPECT_EQ(waiting.cancelled.take(), http::Cancel::client);
  EXPECT_EQ(waiting.reply->write("b"), http::Write::closed);
  const http::AccessRecord record = server.records.take().value();
  EXPECT_EQ(record.outcome, http::Outcome::client);
  EXPECT_EQ(record.status, 200);
}

TEST(HttpDisconnect, IsSeenBehindPipelinedBytes) {
  TestServer server;
  Waiting waiting(server);
  waiting.client.send(get("/probe"));
  waiting.client.close();
  EXPECT_EQ(waiting.cancelled.take(), http::Cancel::client);
}

TEST(HttpDisconnect, InTheMiddleOfARequestNobodyIsCalled) {
  TestServer server;
  const std::string request = post("/later", "body");
  for (size_t cut = 0; cut < request.size(); cut += 7) {
    Client client = server.connect();
    client.send(request.substr(0, cut));
    client.close();
  }
  EXPECT_TRUE(eventually([&] { return server.server->counts().connections == 0; }));
  EXPECT_EQ(server.calls.size(), 0u);
  EXPECT_EQ(server.connect().ask(get("/probe")).status, 200);
}

TEST(HttpDisconnect, OfHundredsLeavesNothingBehind) {
  TestServer server;
  constexpr int kClients = 300;
  std::vector<std::unique_ptr<Waiting>> all;
  for (int i = 0; i < kClients; ++i) all.push_back(std::make_unique<Waiting>(server));
  EXPECT_EQ(server.server->counts().answering, uint32_t{kClients});
  for (int i = 0; i < kClients; ++i) i % 2 ? all[i]->client.close() : all[i]->client.reset();
  for (const auto& one : all) EXPECT_EQ(one->cancelled.take(), http::Cancel::client);
  EXPECT_TRUE(eventually([&] { return server.server->counts().connections == 0; }));
  EXPECT_EQ(server.server->counts().answering, 0u);
}

}  // namespace
}  // namespace ropewalk::test
