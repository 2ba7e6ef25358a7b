// The end of a server: a drain lets finish what runs, a stop does not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/http/test_server.h"

namespace ropewalk::test {
namespace {

using http::Ended;
using std::chrono::milliseconds;
using std::chrono::minutes;
using ::testing::StartsWith;

bool accepts(const std::string& address) {
  try {
    Client client(address);
    return true;
  } catch (const std::runtime_error&) {
    return false;
  }
}

TEST(HttpDrain, OfAnIdleServerIsOverAtOnce) {
  TestServer server;
  Client idle = server.connect();
  EXPECT_EQ(idle.ask(get("/probe")).status, 200);
  server.server->drain(minutes(10));
  EXPECT_EQ(idle.wait_for_end(), End::closed);
  idle.close();
  EXPECT_EQ(server.server->wait(), Ended::finished);
  EXPECT_FALSE(accepts(server.address()));
}

TEST(HttpDrain, LetsFinishWhatRunsAndRefusesTheRest) {
  TestServer server;
  Client running = server.connect();
  running.send(post("/later", ""));
  Call call = server.calls.take().value();
  Client streaming = server.connect();
  streaming.send(post("/later", ""));
  Call stream = server.calls.take().value();
  stream.reply->begin({.body = "a"});
  streaming.read_head();
  // Half a request: the client has begun to ask.
  Client asking = server.connect();
  asking.send("GET /hello HTTP/1.1\r\n");
  Client probing = server.connect();
  probing.send("GET /probe HTTP/1.1\r\n");
  ASSERT_TRUE(eventually([&] { return server.server->counts().connections == 4; }));

  server.server->drain(minutes(10));
  ASSERT_TRUE(eventually([&] { return !accepts(server.address()); }));
  const Answer refused = asking.ask("Host: h\r\n\r\n");
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.header("connection"), "close");
  EXPECT_THAT(refused.body, StartsWith("draining: "));
  EXPECT_EQ(asking.wait_for_end(), End::closed);
  const Answer probe = probing.ask("Host: h\r\n\r\n");  // what the I/O thread answers goes on
  EXPECT_EQ(probe.status, 200);
  EXPECT_EQ(probe.header("connection"), "close");

  EXPECT_FALSE(call.reply->cancelled());
  call.reply->send({.body = "done"});
  const Answer done = running.read();
  EXPECT_EQ(done.body, "done");
  EXPECT_EQ(done.header("connection"), "close");
  EXPECT_EQ(running.wait_for_end(), End::closed);

  EXPECT_EQ(stream.reply->write("b"), http::Write::taken);
  stream.reply->end();
  std::string body;
  while (streaming.read_chunk(body)) {
  }
  EXPECT_EQ(body, "ab");
  for (Client* client : {&running, &streaming, &asking, &probing}) client->close();
  EXPECT_EQ(server.server->wait(), Ended::finished);
  EXPECT_EQ(server.server->counts().connections, 0u);
}

TEST(HttpDrain, AfterTheGraceHandlersMaySayLastWords) {
  TestServer server(
      [](http::Settings& settings, http::Hooks&) { settings.limits.farewell_time = minutes(10); });
  Client streaming = server.connect();
  streaming.send(post("/later", ""));
  Call stream = server.calls.take().value();
  Client waiting = server.connect();
  waiting.send(post("/later", ""));
  Call call = server.calls.take().value();
  Client forgotten = server.connect();
  forgotten.send(post("/later", ""));
  Call forgetful = server.calls.take().value();
  Mailbox<http::Cancel> cancelled;
  stream.reply->begin({.body = "a"});
  for (const Call* one : {&stream, &call, &forgetful})
    one->reply->watch({.cancelled = [&](http::Cancel why) { cancelled.put(why); }, .writable = {}});
  server.server->drain(milliseconds(20));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(cancelled.take(), http::Cancel::shutdown);
  EXPECT_EQ(stream.reply->write("error"), http::Write::taken);
  stream.reply->end();
  EXPECT_EQ(streaming.read().body, "aerror");
  call.reply->send({.status = 503});
  EXPECT_EQ(waiting.read().status, 503);
  forgetful.reply.reset();
  EXPECT_THAT(forgotten.read().body, StartsWith("draining: "));
  for (Client* client : {&streaming, &waiting, &forgotten}) client->close();
  EXPECT_EQ(server.server->wait(), Ended::cut);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(server.records.take().value().outcome, http::Outcome::shutdown);
}

TEST(HttpDrain, WhoSaysNoLastWordsIsReset) {
  TestServer server([](http::Settings& settings, http::Hooks&) {
    settings.limits.farewell_time = milliseconds(20);
  });
  Client client = server.connect();
  client.send(post("/later", ""));
  const Call call = server.calls.take().value();
  server.server->drain(milliseconds(0));
  EXPECT_EQ(client.wait_for_end(), End::reset);
  EXPECT_EQ(server.server->wait(), Ended::cut);
}

// While the I/O thread is held, a client connects and the drain is asked for. The client gets an
// answer, whichever comes first.
TEST(HttpDrain, WhoWaitedToBeAcceptedIsNotReset) {
  std::mutex held;
  Mailbox<bool> holds;
  http::Server server(
      {.listen = {"127.0.0.1:0"}, .limits = {}},
      {{"GET", "/hold", http::RunOn::io_thread, http::Accepts::anything,
        [&](const http::Request&, const std::shared_ptr<http::Reply>& reply) {
          holds.put(true);
          const std::lock_guard lock(held);
          reply->send({});
        }},
       {"GET", "/hello", http::RunOn::worker, http::Accepts::anything,
        [](const http::Request&, const std::shared_ptr<http::Reply>& reply) { reply->send({}); }}},
      {});
  std::unique_lock hold(held);
  Client first(server.addresses()[0]);
  first.send(get("/hold"));
  ASSERT_TRUE(holds.take());
  std::vector<Client> waiting;
  for (int i = 0; i < 100; ++i) {
    waiting.emplace_back(server.addresses()[0]);
    waiting.back().send(get("/hello"));
  }
  server.drain(minutes(10));
  hold.unlock();
  EXPECT_EQ(first.read().status, 200);
  for (Client& client : waiting) {
    const int status = client.read().status;
    EXPECT_TRUE(status == 200 || status == 503) << status;
    client.close();
  }
  first.close();
  EXPECT_EQ(server.wait(), Ended::finished);
}

TEST(HttpDrain, AStopIsImmediate) {
  TestServer server;
  Client client = server.connect();
  client.send(post("/later", ""));
  const Call call = server.calls.take().value();
  Mailbox<http::Cancel> cancelled;
  call.reply->watch({.cancelled = [&](http::Cancel why) { cancelled.put(why); }, .writable = {}});
  server.server->drain(minutes(10));
  server.server->stop();
  EXPECT_EQ(cancelled.take(milliseconds(0)), http::Cancel::shutdown);
  EXPECT_EQ(client.wait_for_end(), End::reset);
  EXPECT_EQ(server.server->wait(), Ended::cut);
  server.server->stop();  // again changes nothing
}

TEST(HttpDrain, ManyInARow) {
  for (int i = 0; i < 50; ++i) {
    TestServer server;
    Client client = server.connect();
    client.send(get("/hello?x"));
    if (i % 2) {
      EXPECT_EQ(client.read().body, "hello x");
    }
    server.server->drain(minutes(10));
    if (i % 2 == 0) {
      // Its request was on the way: answered, refused, or closed before it was seen.
      const int status = client.read().status;
      EXPECT_TRUE(status == 200 || status == 503 || status == 0) << status;
    }
    client.close();
    EXPECT_EQ(server.server->wait(), Ended::finished);
  }
}

}  // namespace
}  // namespace ropewalk::test
