#include "core/schedule/outbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <thread>

#include "core/schedule/ticket.h"

namespace ropewalk::test {
namespace {

Update text(const std::string& words) { return {.text = words}; }
Update ended() { return {.end = Ending{}}; }

struct Line {
  explicit Line(uint64_t limit)
      : outbox(std::make_shared<Outbox>(limit, [this] { ++wakes; })), ticket(outbox) {}

  int wakes = 0;
  std::shared_ptr<Outbox> outbox;
  Ticket ticket;
};

TEST(Outbox, WhatIsNotTakenBecomesOneUpdate) {
  Line line(1000);
  EXPECT_TRUE(line.ticket.take().empty());
  line.outbox->push({.prompt = {{7}}, .text = "a", .tokens = {{{5}, 1}}});
  line.outbox->push({.prompt = {{8}}, .text = "b", .tokens = {{{6}, 2}}, .end = Ending{}});
  const Update update = line.ticket.take();
  EXPECT_EQ(update.text, "ab");
  ASSERT_EQ(update.prompt.size(), 2u);
  EXPECT_EQ(update.prompt[1].id, 8);
  ASSERT_EQ(update.tokens.size(), 2u);
  EXPECT_EQ(update.tokens[1].token.id, 6);
  EXPECT_EQ(update.tokens[1].text_end, 2u);
  EXPECT_TRUE(update.end.has_value());
  EXPECT_TRUE(line.ticket.take().empty());
}

TEST(Outbox, ReadyIsCalledWhenSomethingIsThereAfterNothingWas) {
  Line line(1000);
  int calls = 0;
  line.ticket.watch([&] { ++calls; });
  EXPECT_EQ(calls, 0);
  line.outbox->push(text(""));  // says nothing
  EXPECT_EQ(calls, 0);
  line.outbox->push(text("a"));
  line.outbox->push(text("b"));
  EXPECT_EQ(calls, 1);
  line.ticket.take();
  line.outbox->push(ended());
  EXPECT_EQ(calls, 2);
}

TEST(Outbox, ReadyIsCalledAtOnceWhereSomethingIsThere) {
  Line line(1000);
  line.outbox->push(text("a"));
  int calls = 0;
  line.ticket.watch([&] { ++calls; });
  EXPECT_EQ(calls, 1);
}

// What it owns is let go with the end, or else with the cancel.
TEST(Outbox, ReadyIsForgottenWhenNothingComesAnyMore) {
  const auto owned = std::make_shared<int>(1);
  Line line(1000);
  line.ticket.watch([owned] {});
  line.outbox->push(ended());
  EXPECT_EQ(owned.use_count(), 2);
  line.ticket.take();
  EXPECT_EQ(owned.use_count(), 1);

  Line other(1000);
  other.ticket.watch([owned] {});
  other.ticket.cancel();
  EXPECT_EQ(owned.use_count(), 1);
  other.ticket.watch([owned] { FAIL(); });
  other.outbox->push(ended());
  EXPECT_EQ(owned.use_count(), 1);
  EXPECT_TRUE(other.ticket.take().end.has_value());
}

TEST(Outbox, IsFullPastItsLimitUntilItIsRead) {
  Line line(3);
  line.outbox->push(text("abc"));
  EXPECT_FALSE(line.outbox->full());
  line.outbox->push(text("d"));
  EXPECT_TRUE(line.outbox->full());
  EXPECT_EQ(line.wakes, 0);
  EXPECT_EQ(line.ticket.take().text, "abcd");
  EXPECT_FALSE(line.outbox->full());
  EXPECT_EQ(line.wakes, 1);  // the request may go on
  line.outbox->push(text("abc"));
  line.ticket.take();
  EXPECT_EQ(line.wakes, 1);
}

TEST(Outbox, TokensCountForItsLimit) {
  Line line(10 * sizeof(NewToken));
  for (int i = 0; i < 10; ++i) line.outbox->push({.tokens = {{{5}, 0}}});
  EXPECT_FALSE(line.outbox->full());
  line.outbox->push({.tokens = {{{5, 0.0, {{1, 0.0}}}, 0}}});
  EXPECT_TRUE(line.outbox->full());
}

TEST(Outbox, ATicketThatGoesCancelsOnce) {
  int wakes = 0;
  const auto outbox = std::make_shared<Outbox>(1000, [&] { ++wakes; });
  {
    Ticket ticket(outbox);
    EXPECT_FALSE(outbox->cancelled());
    ticket.cancel();
    EXPECT_TRUE(outbox->cancelled());
  }
  EXPECT_EQ(wakes, 1);
}

TEST(Outbox, WaitingEndsWithTheFirstWord) {
  Line line(1000);
  std::thread writer([&] { line.outbox->push(text("a")); });
  EXPECT_EQ(line.ticket.wait().text, "a");
  writer.join();
}

}  // namespace
}  // namespace ropewalk::test
