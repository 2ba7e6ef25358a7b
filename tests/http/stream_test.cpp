// Streams: pieces from other threads, slow readers, streams without an end.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>

#include "tests/http/test_server.h"

namespace ropewalk::test {
namespace {

constexpr char kEvents[] = "text/event-stream; charset=utf-8";

// A stream that has begun, seen from both sides.
struct Stream {
  explicit Stream(TestServer& server, int receive_buffer = 0)
      : client(server.address(), receive_buffer) {
    client.send(post("/later", ""));
    reply = server.calls.take().value().reply;
    reply->watch({.cancelled = [told = told](http::Cancel why) { told->cancelled.put(why); },
                  .writable = [told = told] { told->writable.put(true); }});
    reply->begin({.content_type = kEvents, .headers = {{"Cache-Control", "no-cache"}}});
    head = client.read_head();
  }
  std::string read() {
    std::string piece;
    client.read_chunk(piece);
    return piece;
  }
  struct Told {
    Mailbox<http::Cancel> cancelled;
    Mailbox<bool> writable;
  };
  const std::shared_ptr<Told> told = std::make_shared<Told>();
  Client client;
  std::shared_ptr<http::Reply> reply;
  Answer head;
};

TEST(HttpStream, EveryPieceArrivesWhenItIsWritten) {
  TestServer server;
  Stream stream(server);
  EXPECT_EQ(stream.head.status, 200);
  EXPECT_EQ(stream.head.header("transfer-encoding"), "chunked");
  EXPECT_EQ(stream.head.header("content-type"), kEvents);
  EXPECT_EQ(stream.head.header("cache-control"), "no-cache");
  EXPECT_EQ(stream.head.header("content-length"), "");
  for (int i = 0; i < 100; ++i) {
    const std::string event = "data: " + std::to_string(i) + "\n\n";
    ASSERT_EQ(stream.reply->write(event), http::Write::taken);
    ASSERT_EQ(stream.read(), event);  // before the next is written
  }
  stream.reply->end();
  EXPECT_EQ(stream.read(), "");
  EXPECT_EQ(stream.client.ask(get("/probe")).body, "ok") << "keep-alive after a stream";
  EXPECT_EQ(server.records.take().value().bytes_out, 990u);
}

// Answers of several clients cost one switch of threads.
TEST(HttpStream, WhatIsSaidTogetherIsSentTogether) {
  TestServer server;
  Stream first(server), second(server);
  Client other(server.address());
  {
    const http::Together together;
    EXPECT_EQ(first.reply->write("a"), http::Write::taken);
    EXPECT_EQ(other.ask(get("/probe")).body, "ok");  // the I/O thread has had time for it
    char byte = 0;
    EXPECT_EQ(recv(first.client.descriptor(), &byte, 1, MSG_DONTWAIT | MSG_PEEK), -1);
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_EQ(second.reply->write("b"), http::Write::taken);
    EXPECT_EQ(first.reply->write("c"), http::Write::taken);
  }
  EXPECT_EQ(first.read(), "ac");
  EXPECT_EQ(second.read(), "b");
  EXPECT_EQ(first.reply->write("d"), http::Write::taken);
  EXPECT_EQ(first.read(), "d");
}

TEST(HttpStream, WhatIsSaidTogetherMayOutliveTheServer) {
  TestServer server;
  Stream stream(server);
  const http::Together together;
  EXPECT_EQ(stream.reply->write("a"), http::Write::taken);
  server.server.reset();
}

TEST(HttpStream, APieceOfNothingDoesNotEndIt) {
  TestServer server;
  Stream stream(server);
  EXPECT_EQ(stream.reply->write(""), http::Write::taken);
  EXPECT_EQ(stream.reply->write("a"), http::Write::taken);
  EXPECT_EQ(stream.read(), "a");
}

TEST(HttpStream, TheFirstBytesMayComeWithTheHead) {
  TestServer server;
  Client client = server.connect();
  client.send(post("/later", ""));
  const Call call = server.calls.take().value();
  call.reply->begin({.content_type = kEvents, .body = ": ropewalk\n\n"});
  client.read_head();
  std::string piece;
  client.read_chunk(piece);
  EXPECT_EQ(piece, ": ropewalk\n\n");
  call.reply->end();
}

TEST(HttpStream, AnOldClientReadsUntilTheConnectionCloses) {
  TestServer server;
  Client client = server.connect();
  client.send("POST /later HTTP/1.0\r\nContent-Length: 0\r\n\r\n");
  const Call call = server.calls.take().value();
  call.reply->begin({.body = "a"});
  call.reply->write("b");
  call.reply->end();
  const Answer answer = client.read();
  EXPECT_EQ(answer.header("transfer-encoding"), "");
  EXPECT_EQ(answer.header("connection"), "close");
  EXPECT_EQ(answer.body, "ab");
  EXPECT_TRUE(answer.whole);
}

TEST(HttpStream, WithoutABodyItsPiecesAreDropped) {
  TestServer server;
  Client client = server.connect();
  client.send(post("/later", ""));
  const Call call = server.calls.take().value();
  call.reply->begin({.status = 204});
  EXPECT_EQ(call.reply->write("no body here"), http::Write::taken);
  EXPECT_EQ(client.read().status, 204);
  EXPECT_TRUE(eventually([&] { return call.reply->pending() == 0; }));
  call.reply->end();
  EXPECT_EQ(client.ask(get("/probe")).body, "ok");
}

// Writes until the stream stays full because neither the reader nor the system takes any more. One
// that is told to go on after this would be taken for a later one, so it waits long.
size_t fill(Stream& stream, const std::string& piece) {
  for (size_t pieces = 0;;) {
    if (stream.reply->write(piece) == http::Write::taken) {
      ++pieces;
    } else if (!stream.told->writable.take(std::chrono::milliseconds(300))) {
      return pieces;
    }
    if (pieces * piece.size() > 64u << 20) throw std::runtime_error("nothing holds the writer");
  }
}

TEST(HttpStream, ASlowReaderHoldsTheWriterAndLosesNothing) {
  TestServer server(
      [](http::Settings& settings, http::Hooks&) { settings.limits.stream = 64 << 10; });
  Stream stream(server, 4096);
  const std::string piece(10'000, 'x');
  size_t pieces = fill(stream, piece);
  EXPECT_LE(stream.reply->pending(), 64u << 10);
  std::string body;
  std::thread reader([&] {
    while (stream.client.read_chunk(body)) {
    }
  });
  for (const size_t more = pieces + 100; pieces < more;) {
    if (stream.reply->write(piece) == http::Write::taken) {
      ++pieces;
    } else {
      ASSERT_TRUE(stream.told->writable.take());
      EXPECT_LE(stream.reply->pending(), 32u << 10);
    }
  }
  stream.reply->end();
  reader.join();
  EXPECT_EQ(body, std::string(pieces * piece.size(), 'x'));
  EXPECT_EQ(stream.told->cancelled.size(), 0u);
}

TEST(HttpStream, AReaderThatStallsIsCancelledAndReset) {
  TestServer server([](http::Settings& settings, http::Hooks&) {
    settings.limits.stream = 64 << 10;
    settings.limits.write_time = std::chrono::milliseconds(100);
  });
  Stream stream(server, 4096);
  const std::string piece(10'000, 'x');
  while (stream.told->cancelled.size() == 0) stream.reply->write(piece);
  EXPECT_EQ(stream.told->cancelled.take(), http::Cancel::stalled);
  EXPECT_EQ(stream.reply->write(piece), http::Write::closed);
  EXPECT_EQ(stream.client.wait_for_end(), End::reset);
  EXPECT_EQ(server.records.take().value().outcome, http::Outcome::stalled);
}

TEST(HttpStream, OneThatWaitsForItsHandlerIsNotTimedOut) {
  TestServer server([](http::Settings& settings, http::Hooks&) {
    settings.limits.write_time = settings.limits.head_time = std::chrono::milliseconds(20);
    settings.limits.idle_time = settings.limits.body_time = std::chrono::milliseconds(20);
  });
  Stream stream(server);
  EXPECT_FALSE(stream.told->cancelled.take(std::chrono::milliseconds(200)));
  EXPECT_EQ(stream.reply->write("late"), http::Write::taken);
  EXPECT_EQ(stream.read(), "late");
}

TEST(HttpStream, OneThatItsHandlerForgetsIsResetAndNotEnded) {
  TestServer server;
  Stream stream(server);
  stream.reply->write("half");
  EXPECT_EQ(stream.read(), "half");
  stream.reply.reset();
  EXPECT_EQ(stream.client.wait_for_end(), End::reset);
  EXPECT_EQ(server.records.take().value().outcome, http::Outcome::failed);
}

TEST(HttpStream, ManyThreadsMayWrite) {
  TestServer server;
  Stream stream(server);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) EXPECT_EQ(stream.reply->write("0123"), http::Write::taken);
    });
  for (std::thread& thread : threads) thread.join();
  stream.reply->end();
  std::string body;
  while (stream.client.read_chunk(body)) {
  }
  EXPECT_EQ(body, [] {
    std::string all;
    for (int i = 0; i < 2000; ++i) all += "0123";
    return all;
  }());
}

TEST(HttpStream, MayOutliveItsServer) {
  std::shared_ptr<http::Reply> reply;
  {
    TestServer server;
    Stream stream(server);
    reply = stream.reply;
    server.server->stop();
    EXPECT_EQ(stream.told->cancelled.take(), http::Cancel::shutdown);
    EXPECT_EQ(stream.client.wait_for_end(), End::reset);
  }
  EXPECT_EQ(reply->write("x"), http::Write::closed);
  reply->end();
}

}  // namespace
}  // namespace ropewalk::test
