#include "core/exec/kv_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>

#include "core/base/error.h"
#include "tests/error_of.h"

namespace ropewalk::test {
namespace {

using testing::HasSubstr;

TEST(KvCache, PagesHoldAsManyTokensAsTheyAreMadeFor) {
  for (const uint32_t tokens : abi::kPageSizes) {
    const KvCache cache(8, tokens, 1024);
    EXPECT_EQ(cache.page_tokens(), tokens);
    EXPECT_EQ(cache.pages_for(0), 0u);
    EXPECT_EQ(cache.pages_for(1), 1u);
    EXPECT_EQ(cache.pages_for(tokens), 1u);
    EXPECT_EQ(cache.pages_for(tokens + 1), 2u);
    EXPECT_EQ(cache.pages_per_sequence(), 1024 / tokens);
    EXPECT_EQ(cache.capacity(), std::min(8 * tokens, 1024u));
  }
}

TEST(KvCache, PagesThatSequencesFillAreTheirOwn) {
  KvCache cache(8, 256, 1024);
  Sequence a(cache), b(cache);
  a.reserve(300);
  b.reserve(700);
  std::set<uint32_t> pages(a.pages().begin(), a.pages().end());
  pages.insert(b.pages().begin(), b.pages().end());
  EXPECT_EQ(pages.size(), 2u + 3u);
  EXPECT_EQ(cache.free_pages(), 3u);
}

TEST(KvCache, APageIsFreeAgainWhenItsSequenceDiesOrShrinks) {
  KvCache cache(4, 256, 1024);
  {
    Sequence a(cache);
    a.reserve(1000);
    a.advance(1000);
    EXPECT_EQ(cache.free_pages(), 0u);
    a.truncate(256);
    EXPECT_EQ(a.length(), 256u);
    EXPECT_EQ(cache.free_pages(), 3u);
  }
  EXPECT_EQ(cache.free_pages(), 4u);
}

TEST(KvCache, AFullPageHasManyUsersAndIsFreeAfterTheLast) {
  KvCache cache(4, 256, 1024);
  auto a = std::make_unique<Sequence>(cache);
  Sequence b(cache);
  a->reserve(600);
  a->advance(600);
  b.adopt(a->pages().first(2));
  EXPECT_EQ(b.length(), 512u);
  EXPECT_EQ(cache.users(b.pages()[0]), 2u);
  EXPECT_EQ(cache.free_pages(), 1u);

  // What b appends goes into a page of its own.
  b.reserve(1);
  EXPECT_NE(b.pages()[2], a->pages()[2]);
  a.reset();
  EXPECT_EQ(cache.free_pages(), 1u);  // the third page of a
  EXPECT_EQ(cache.users(b.pages()[0]), 1u);
  b.truncate(0);
  EXPECT_EQ(cache.free_pages(), 4u);
}

// The next token would be written into keys that another sequence reads.
TEST(KvCache, TruncatingNeverEndsInsideASharedPage) {
  KvCache cache(4, 256, 1024);
  Sequence a(cache), b(cache);
  a.reserve(512);
  a.advance(512);
  b.adopt(a.pages());
  EXPECT_EQ(b.truncate(512), 512u);
  EXPECT_EQ(b.truncate(300), 256u);
  EXPECT_EQ(b.pages().size(), 1u);
  EXPECT_EQ(a.truncate(300), 300u);  // alone on its second page
  EXPECT_EQ(a.truncate(200), 0u);
}

TEST(KvCache, MissingPagesAreThoseThatReserveTakes) {
  KvCache cache(4, 256, 1024);
  Sequence a(cache);
  EXPECT_EQ(a.missing_pages(0), 0u);
  EXPECT_EQ(a.missing_pages(257), 2u);
  EXPECT_EQ(a.missing_pages(5000), 20u);  // more than there are; asking does not throw
  a.reserve(257);
  EXPECT_EQ(a.missing_pages(512), 0u);
  EXPECT_EQ(a.missing_pages(513), 1u);
}

TEST(KvCache, ASequenceHoldsTheContextOrAllPages) {
  EXPECT_EQ(KvCache(4, 256, 600).capacity(), 600u);
  EXPECT_EQ(KvCache(2, 256, 600).capacity(), 512u);
}

TEST(KvCache, PastTheContextLengthIsALimit) {
  KvCache cache(4, 256, 600);
  Sequence a(cache);
  a.reserve(600);
  a.advance(600);
  expect_error(ExitCode::limit, HasSubstr("would have 601 tokens, the context holds 600"),
               [&] { a.reserve(1); });
}

TEST(KvCache, NoFreePageIsOutOfMemoryAndChangesNothing) {
  KvCache cache(3, 256, 1024);
  Sequence a(cache), b(cache);
  a.reserve(512);
  expect_error(ExitCode::out_of_memory,
               HasSubstr("2 pages of 256 tokens are needed and 1 are free"),
               [&] { b.reserve(512); });
  EXPECT_TRUE(b.pages().empty());
  EXPECT_EQ(cache.free_pages(), 1u);
}

}  // namespace
}  // namespace ropewalk::test
