// Many requests and many streams at once: nothing is lost, mixed up or left behind.
#include <gtest/gtest.h>

#include <atomic>

#include "tests/http/test_server.h"

namespace ropewalk::test {
namespace {

TEST(HttpLoad, ThousandsOfRequestsOverKeptConnections) {
  TestServer server;
  constexpr int kThreads = 4, kRequests = 1500;
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      Client client = server.connect();
      for (int i = 0; i < kRequests; ++i) {
        const std::string body = std::to_string(t) + ":" + std::to_string(i);
        right += client.ask(i % 3 ? post("/echo", body) : get("/things/" + body)).body == body;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, kThreads * kRequests);
  EXPECT_TRUE(eventually(
      [&] { return server.server->counts().requests == uint64_t{kThreads * kRequests}; }));
}

TEST(HttpLoad, SixtyFourStreamsAtOnce) {
  TestServer server;
  constexpr int kStreams = 64, kEventsOfEach = 100;
  std::vector<Client> clients;
  std::vector<std::shared_ptr<http::Reply>> replies;
  for (int s = 0; s < kStreams; ++s) {
    clients.push_back(server.connect());
    clients.back().send(post("/later", ""));
    replies.push_back(server.calls.take().value().reply);
    replies.back()->begin({.content_type = "text/event-stream"});
  }
  // One thread writes to all of them, as the engine's does.
  std::thread writer([&] {
    for (int i = 0; i < kEventsOfEach; ++i)
      for (int s = 0; s < kStreams; ++s)
        EXPECT_EQ(replies[s]->write(std::to_string(s) + "," + std::to_string(i) + ";"),
                  http::Write::taken);
    for (const auto& reply : replies) reply->end();
  });
  for (int s = 0; s < kStreams; ++s) {
    std::string expected;
    for (int i = 0; i < kEventsOfEach; ++i)
      expected += std::to_string(s) + "," + std::to_string(i) + ";";
    const Answer answer = clients[s].read();
    EXPECT_TRUE(answer.whole);
    EXPECT_EQ(answer.body, expected);
  }
  writer.join();
  EXPECT_TRUE(eventually([&] { return server.server->counts().answering == 0; }));
}

// A probe is answered while every worker is busy, and a client that has left the queue is not
// served.
TEST(HttpLoad, AProbeNeverWaitsForAHandler) {
  std::mutex blocked;
  std::unique_lock hold(blocked);
  std::atomic<int> calls = 0;
  http::Server server({.listen = {"127.0.0.1:0"}, .limits = {}, .workers = 1},
                      {{"GET", "/blocks", http::RunOn::worker, http::Accepts::anything,
                        [&](const http::Request&, const std::shared_ptr<http::Reply>& reply) {
                          ++calls;
                          const std::lock_guard lock(blocked);
                          reply->send({.body = "at last"});
                        }},
                       {"GET", "/probe", http::RunOn::io_thread, http::Accepts::anything,
                        [](const http::Request&, const std::shared_ptr<http::Reply>& reply) {
                          reply->send({.body = "ok"});
                        }}},
                      {});
  Client first(server.addresses()[0]), second(server.addresses()[0]), probe(server.addresses()[0]);
  first.send(get("/blocks"));
  EXPECT_TRUE(eventually([&] { return calls == 1; }));
  second.send(get("/blocks"));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(probe.ask(get("/probe")).body, "ok");
  EXPECT_TRUE(eventually([&] { return server.counts().answering == 2; }));
  second.close();
  EXPECT_TRUE(eventually([&] { return server.counts().answering == 1; })) << "seen in the queue";
  hold.unlock();
  EXPECT_EQ(first.read().body, "at last");
  EXPECT_EQ(first.ask(get("/blocks")).body, "at last");
  EXPECT_EQ(calls, 2);
}

// A reader that takes nothing does not slow the others.
TEST(HttpLoad, OneSlowReaderDisturbsNobody) {
  TestServer server;
  Client slow(server.address(), 4096);
  slow.send(post("/later", ""));
  const Call call = server.calls.take().value();
  call.reply->begin({});
  const std::string piece(100'000, 'x');
  while (call.reply->write(piece) == http::Write::taken) {
  }
  Client fast = server.connect();
  for (int i = 0; i < 200; ++i) ASSERT_EQ(fast.ask(post("/echo", "x")).body, "x");
  EXPECT_FALSE(call.reply->cancelled());
}

}  // namespace
}  // namespace ropewalk::test
