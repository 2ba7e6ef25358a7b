#include "core/exec/prefix_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/exec/fake_device.h"

namespace ropewalk::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Ids = std::vector<int32_t>;

constexpr uint32_t kPage = abi::kDefaultPageTokens;

// Page after page, each filled with one id: of({1, 2}) has two pages.
Ids of(const Ids& pages) {
  Ids ids;
  for (const int32_t id : pages) ids.insert(ids.end(), kPage, id);
  return ids;
}

struct PrefixRig {
  explicit PrefixRig(uint32_t pages) : cache(pages, kPage, 64 * kPage), prefixes(cache, rope) {}

  // A text whose tokens are all cached, what is known of them by adoption.
  std::unique_ptr<CachedText> run(const Ids& ids) {
    auto text = std::make_unique<CachedText>(cache, rope);
    text->append(ids);
    text->adopt(prefixes.find("", ids));
    while (text->pending() > 0) {
      const Chunk chunk = text->next(64);
      chunk.sequence->reserve(static_cast<uint32_t>(chunk.tokens.size()));
      chunk.sequence->advance(static_cast<uint32_t>(chunk.tokens.size()));
    }
    return text;
  }
  // Runs it, makes it known and forgets it. Returns its pages.
  Ids remember(const Ids& ids) {
    const auto text = run(ids);
    prefixes.insert("", *text);
    return {text->sequence().pages().begin(), text->sequence().pages().end()};
  }
  Ids find(Ids ids) {
    ids.push_back(0);  // the token that is left to be run
    const auto pages = prefixes.find("", ids);
    return {pages.begin(), pages.end()};
  }

  LengthPolicy policy{false};
  RopeTables rope{policy, {8, 10000.0, 64, 0, 64 * kPage}, RopeMode::hf_compat, {8}};
  KvCache cache;
  PrefixCache prefixes;
};

TEST(PrefixCache, FindsThePagesThatATextBeginsWith) {
  PrefixRig rig(8);
  const Ids pages = rig.remember(of({1, 2, 3}));
  EXPECT_EQ(rig.find(of({1, 2, 3, 4})), pages);
  EXPECT_THAT(rig.find(of({1, 2, 9})), ElementsAre(pages[0], pages[1]));
  EXPECT_THAT(rig.find(of({9, 2, 3})), IsEmpty());
  EXPECT_THAT(rig.find(of({2, 3})), IsEmpty());  // known, but only behind 1
  EXPECT_THAT(rig.prefixes.find("", Ids{}), IsEmpty());
}

TEST(PrefixCache, ComparesEveryId) {
  PrefixRig rig(8);
  rig.remember(of({1}));
  for (const size_t place : {size_t{0}, size_t{kPage / 2}, size_t{kPage - 1}}) {
    Ids ids = of({1});
    ids[place] = 2;
    EXPECT_THAT(rig.find(ids), IsEmpty()) << place;
  }
}

TEST(PrefixCache, LeavesTheLastTokenToBeRun) {
  PrefixRig rig(8);
  rig.remember(of({1, 2}));
  EXPECT_EQ(rig.prefixes.find("", of({1, 2})).size(), 1u);
}

TEST(PrefixCache, OnlyFullPagesAreKnown) {
  PrefixRig rig(8);
  Ids ids = of({1});
  ids.pop_back();
  rig.remember(ids);
  EXPECT_EQ(rig.prefixes.pages(), 0u);
  EXPECT_EQ(rig.cache.free_pages(), 8u);
  rig.remember(of({1}));
  EXPECT_EQ(rig.prefixes.pages(), 1u);
  EXPECT_EQ(rig.cache.free_pages(), 7u);
}

TEST(PrefixCache, TextsThatShareABeginningShareItsPages) {
  PrefixRig rig(8);
  const auto a = rig.run(of({1, 2}));
  rig.prefixes.insert("", *a);
  const auto b = rig.run(of({1, 3}));
  rig.prefixes.insert("", *b);
  EXPECT_EQ(a->sequence().pages()[0], b->sequence().pages()[0]);
  EXPECT_EQ(rig.cache.free_pages(), 5u);
  EXPECT_EQ(rig.prefixes.pages(), 3u);
}

// Two that ran at the same time: the second takes the first one's pages and frees its own.
TEST(PrefixCache, APageIsKnownOnce) {
  PrefixRig rig(8);
  const auto a = rig.run(of({1, 2})), b = rig.run(of({1, 2}));
  rig.prefixes.insert("", *a);
  EXPECT_EQ(rig.cache.free_pages(), 4u);
  rig.prefixes.insert("", *b);
  EXPECT_EQ(rig.prefixes.pages(), 2u);
  EXPECT_EQ(rig.cache.free_pages(), 6u);
  EXPECT_TRUE(std::ranges::equal(a->sequence().pages(), b->sequence().pages()));
}

TEST(PrefixCache, SaltsShareNothing) {
  PrefixRig rig(8);
  const auto text = rig.run(of({1}));
  rig.prefixes.insert("alice", *text);
  EXPECT_THAT(rig.find(of({1})), IsEmpty());
  EXPECT_THAT(rig.prefixes.find("bob", of({1, 2})), IsEmpty());
  EXPECT_EQ(rig.prefixes.find("alice", of({1, 2})).size(), 1u);
}

TEST(PrefixCache, EvictsWhatWasNotAskedForTheLongest) {
  PrefixRig rig(8);
  const Ids one = rig.remember(of({1})), two = rig.remember(of({2})), three = rig.remember(of({3}));
  rig.find(of({1}));
  EXPECT_EQ(rig.prefixes.evict(1), 1u);
  EXPECT_THAT(rig.find(of({2})), IsEmpty());
  EXPECT_EQ(rig.find(of({1})), one);
  EXPECT_EQ(rig.find(of({3})), three);
  EXPECT_EQ(rig.cache.free_pages(), 6u);
}

TEST(PrefixCache, EvictsChildrenBeforeTheirParents) {
  PrefixRig rig(8);
  const Ids pages = rig.remember(of({1, 2, 3}));
  EXPECT_EQ(rig.prefixes.evictable(), 3u);
  EXPECT_EQ(rig.prefixes.evict(2), 2u);
  EXPECT_THAT(rig.find(of({1, 2, 3})), ElementsAre(pages[0]));
  EXPECT_EQ(rig.prefixes.evict(5), 1u);
  EXPECT_EQ(rig.cache.free_pages(), 8u);
  EXPECT_EQ(rig.prefixes.pages(), 0u);
}

TEST(PrefixCache, APageThatIsUsedIsNotEvicted) {
  PrefixRig rig(8);
  rig.remember(of({1, 2}));
  const auto user = rig.run(of({1, 3}));  // uses the first page; its second is not known
  EXPECT_EQ(rig.prefixes.evictable(), 1u);
  EXPECT_EQ(rig.prefixes.evict(8), 1u);
  EXPECT_EQ(rig.prefixes.pages(), 1u);
}

// Otherwise an idle page would stay because of a page behind it that somebody uses.
TEST(PrefixCache, WhoUsesAPageUsesThoseBeforeIt) {
  PrefixRig rig(8);
  auto first = rig.run(of({1}));
  const auto second = rig.run(of({1, 2}));
  rig.prefixes.insert("", *first);
  rig.prefixes.insert("", *second);
  first.reset();
  EXPECT_EQ(rig.cache.free_pages(), 6u);
  EXPECT_EQ(rig.prefixes.evictable(), 0u);
  EXPECT_EQ(rig.prefixes.evict(8), 0u);
}

TEST(PrefixCache, IsOffWhereKeysDoNotStayValid) {
  LengthPolicy policy(true);
  RopeTables rope(policy, {8, 10000.0, 64, 0, 64 * kPage}, RopeMode::hf_compat, {8});
  KvCache cache(8, kPage, 64 * kPage);
  PrefixCache prefixes(cache, rope);
  CachedText text(cache, rope);
  text.append(of({1}));
  const Chunk chunk = text.next(kPage);
  chunk.sequence->reserve(kPage);
  chunk.sequence->advance(kPage);
  prefixes.insert("", text);
  EXPECT_EQ(prefixes.pages(), 0u);
  EXPECT_THAT(prefixes.find("", of({1, 2})), IsEmpty());
}

// Against a plain list of every text that was made known: the tree finds what the list says, as
// long as nothing is evicted, and pages are never lost or used twice.
TEST(PrefixCache, RandomTextsAgreeWithAListOfThem) {
  std::mt19937 random(7);
  const auto pick = [&](uint32_t n) { return static_cast<int32_t>(random() % n); };
  PrefixRig rig(4000);
  std::vector<Ids> known;
  for (int round = 0; round < 300; ++round) {
    Ids text;
    for (int32_t n = pick(5); n >= 0; --n) text.push_back(pick(3));
    size_t want = 0;
    for (const Ids& other : known) {
      const auto same = std::ranges::mismatch(text, other).in1 - text.begin();
      want = std::max(want, static_cast<size_t>(same));
    }
    EXPECT_EQ(rig.find(of(text)).size(), want);
    rig.remember(of(text));
    known.push_back(text);
    EXPECT_EQ(rig.cache.free_pages() + rig.prefixes.pages(), 4000u);
  }
  EXPECT_EQ(rig.prefixes.evictable(), rig.prefixes.pages());
  rig.prefixes.evict(4000);
  EXPECT_EQ(rig.cache.free_pages(), 4000u);
}

}  // namespace
}  // namespace ropewalk::test
