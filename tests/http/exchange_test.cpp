// The handler's side and the connection's side of an answer, without a connection.
#include "core/http/exchange.h"

#include <gtest/gtest.h>

namespace ropewalk::test {
namespace {

using namespace http;

TEST(Exchange, PiecesThatWaitLeaveAsOne) {
  int woken = 0;
  Exchange exchange(100, [&] { ++woken; });
  exchange.begin({.body = "a"});
  EXPECT_EQ(exchange.write("b"), Write::taken);
  EXPECT_EQ(exchange.write("c"), Write::taken);
  EXPECT_EQ(woken, 1);
  const Exchange::Output output = exchange.take();
  EXPECT_EQ(output.bytes, "abc");
  EXPECT_FALSE(output.ended);
  EXPECT_EQ(exchange.pending(), 3u);
  exchange.sent();
  EXPECT_EQ(exchange.pending(), 0u);
  exchange.end();
  EXPECT_EQ(woken, 2);
  EXPECT_TRUE(exchange.take().ended);
}

TEST(Exchange, IsFullUntilHalfOfItHasGone) {
  int writable = 0;
  Exchange exchange(10, [] {});
  exchange.watch({.cancelled = {}, .writable = [&] { ++writable; }});
  exchange.begin({});
  EXPECT_EQ(exchange.write("123456"), Write::taken);
  EXPECT_EQ(exchange.write("12345"), Write::full);
  EXPECT_EQ(exchange.write("1234"), Write::taken);
  exchange.take();
  EXPECT_EQ(exchange.write("1"), Write::full);  // taken is not sent
  EXPECT_EQ(writable, 0);
  exchange.sent();
  EXPECT_EQ(writable, 1);
  EXPECT_EQ(exchange.write(std::string(1000, 'x')), Write::taken);  // nothing was pending
  exchange.take();
  exchange.sent();
  EXPECT_EQ(writable, 1) << "said without having said full";
  EXPECT_EQ(exchange.write("123"), Write::taken);
  exchange.take();
  EXPECT_EQ(exchange.write("456789"), Write::taken);
  EXPECT_EQ(exchange.write("ab"), Write::full);
  exchange.sent();
  EXPECT_EQ(writable, 1) << "more than half of it still waits";
  exchange.take();
  exchange.sent();
  EXPECT_EQ(writable, 2);
}

TEST(Exchange, ACancelIsToldOnce) {
  int told = 0;
  Exchange exchange(10, [] {});
  exchange.watch({.cancelled = [&](Cancel why) { told += why == Cancel::client; }, .writable = {}});
  exchange.begin({});
  EXPECT_FALSE(exchange.cancelled());
  exchange.cancel(Cancel::client);
  exchange.cancel(Cancel::shutdown);
  EXPECT_EQ(told, 1);
  EXPECT_EQ(exchange.cancelled(), Cancel::client);
  EXPECT_EQ(exchange.write("x"), Write::closed);
  exchange.watch({.cancelled = [&](Cancel) { ++told; }, .writable = {}});
  EXPECT_EQ(told, 2) << "who watches late is told at once";
}

TEST(Exchange, AnAnswerThatHasEndedIsNotCancelled) {
  int told = 0;
  Exchange exchange(10, [] {});
  exchange.watch({.cancelled = [&](Cancel) { ++told; }, .writable = {}});
  exchange.send({.body = "all of it"});
  exchange.cancel(Cancel::client);
  EXPECT_EQ(told, 0);
}

TEST(Exchange, LastWordsAreTakenAtShutdown) {
  Exchange exchange(10, [] {});
  exchange.begin({});
  exchange.cancel(Cancel::shutdown);
  EXPECT_EQ(exchange.write("bye"), Write::taken);
  exchange.end();
  EXPECT_EQ(exchange.take().bytes, "bye");
}

TEST(Exchange, IsAbandonedWithItsLastReply) {
  const auto exchange = std::make_shared<Exchange>(10, [] {});
  std::shared_ptr<Reply> reply = reply_of(exchange);
  const std::shared_ptr<Reply> copy = reply;
  reply.reset();
  EXPECT_FALSE(exchange->take().abandoned);
  copy->begin({});
  copy->end();
  EXPECT_TRUE(exchange->take().ended);

  const auto forgotten = std::make_shared<Exchange>(10, [] {});
  reply_of(forgotten);
  EXPECT_TRUE(forgotten->take().abandoned);
}

TEST(Exchange, WakesNobodyOnceDetached) {
  int woken = 0;
  Exchange exchange(10, [&] { ++woken; });
  exchange.detach();
  exchange.send({});
  exchange.abandon();
  EXPECT_EQ(woken, 0);
}

}  // namespace
}  // namespace ropewalk::test
