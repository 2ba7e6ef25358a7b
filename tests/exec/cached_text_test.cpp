#include "core/exec/cached_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/exec/fake_device.h"

namespace ropewalk::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Ids = std::vector<int32_t>;

struct TextRig {
  TextRig(bool varies, RopeMode mode)
      : policy(varies), rope(policy, {8, 10000.0, 64, 0, 1024}, mode, {8}), text(cache, rope) {}

  // What the executor does to a chunk's sequence.
  static void cache_chunk(const Chunk& chunk) {
    const auto count = static_cast<uint32_t>(chunk.tokens.size());
    chunk.sequence->reserve(count);
    chunk.sequence->advance(count);
  }
  void run_all() {
    while (text.pending() > 0) cache_chunk(text.next(64));
  }

  LengthPolicy policy;
  RopeTables rope;
  KvCache cache{8, 256, 1024};
  CachedText text;
};

TEST(CachedText, ChunksCoverThePendingTokensInOrder) {
  TextRig rig(false, RopeMode::hf_compat);
  rig.text.append(Ids{1, 2, 3, 4, 5});
  EXPECT_EQ(rig.text.pending(), 5u);

  const Chunk first = rig.text.next(3);
  EXPECT_THAT(first.tokens, ElementsAre(1, 2, 3));
  EXPECT_EQ(first.wanted, Wanted::none);
  EXPECT_EQ(first.final_length, 5u);
  TextRig::cache_chunk(first);
  EXPECT_EQ(rig.text.cached(), 3u);

  const Chunk last = rig.text.next(3);
  EXPECT_THAT(last.tokens, ElementsAre(4, 5));
  EXPECT_EQ(last.wanted, Wanted::last);
  TextRig::cache_chunk(last);
  EXPECT_EQ(rig.text.pending(), 0u);
}

TEST(CachedText, AChunkThatDidNotRunIsGivenAgain) {
  TextRig rig(false, RopeMode::hf_compat);
  rig.text.append(Ids{1, 2});
  EXPECT_THAT(rig.text.next(1).tokens, ElementsAre(1));
  EXPECT_THAT(rig.text.next(1).tokens, ElementsAre(1));
}

TEST(CachedText, RewindingKeepsWhatIsCachedOfTheCommonPrefix) {
  TextRig rig(false, RopeMode::hf_compat);
  rig.text.append(Ids{1, 2, 3, 4});
  rig.run_all();
  EXPECT_EQ(rig.text.rewind_to(Ids{1, 2, 9, 9, 9}), 2u);
  EXPECT_THAT(rig.text.next(64).tokens, ElementsAre(9, 9, 9));
  EXPECT_THAT(rig.text.ids(), ElementsAre(1, 2, 9, 9, 9));
}

TEST(CachedText, RewindingNeverCountsPendingTokensAsCached) {
  TextRig rig(false, RopeMode::hf_compat);
  rig.text.append(Ids{1, 2, 3, 4});
  TextRig::cache_chunk(rig.text.next(2));
  EXPECT_EQ(rig.text.rewind_to(Ids{1, 2, 3, 4}), 2u);
  EXPECT_THAT(rig.text.next(64).tokens, ElementsAre(3, 4));
}

TEST(CachedText, RewindingLeavesTheLastTokenToBeRun) {
  TextRig rig(false, RopeMode::hf_compat);
  rig.text.append(Ids{1, 2, 3, 4});
  rig.run_all();
  EXPECT_EQ(rig.text.rewind_to(Ids{1, 2, 3}), 2u);
  EXPECT_THAT(rig.text.next(64).tokens, ElementsAre(3));
  EXPECT_EQ(rig.text.rewind_to(Ids{}), 0u);
  EXPECT_THAT(rig.text.ids(), IsEmpty());
  EXPECT_EQ(rig.cache.free_pages(), 8u);
}

// The table of a policy that varies rotated the cached keys for another length.
TEST(CachedText, RewindingKeepsNothingWhereKeysDoNotStayValid) {
  const auto kept = [](bool varies, RopeMode mode) {
    TextRig rig(varies, mode);
    rig.text.append(Ids{1, 2, 3});
    rig.run_all();
    return rig.text.rewind_to(Ids{1, 2, 9});
  };
  EXPECT_EQ(kept(true, RopeMode::hf_compat), 0u);
  EXPECT_EQ(kept(true, RopeMode::exact), 2u);
  EXPECT_EQ(kept(true, RopeMode::fixed), 2u);
  EXPECT_EQ(kept(false, RopeMode::hf_compat), 2u);
}

// A page that others read is not written to again: its tokens are run once more.
TEST(CachedText, RewindingIntoASharedPageGivesThePageUp) {
  TextRig rig(false, RopeMode::hf_compat);
  const Ids ids(300, 7);
  rig.text.append(ids);
  while (rig.text.pending() > 0) TextRig::cache_chunk(rig.text.next(64));
  CachedText other(rig.cache, rig.rope);
  other.append(ids);
  other.adopt(rig.text.sequence().pages().first(1));
  EXPECT_EQ(other.cached(), 256u);
  EXPECT_EQ(other.next(64).tokens.size(), 44u);

  EXPECT_EQ(other.rewind_to(std::span(ids).first(200)), 0u);
  EXPECT_EQ(other.pending(), 200u);
  EXPECT_EQ(rig.text.cached(), 300u);
}

TEST(CachedText, UncachingKeepsTheTokens) {
  TextRig rig(false, RopeMode::hf_compat);
  rig.text.append(Ids{1, 2, 3});
  rig.run_all();
  rig.text.uncache();
  EXPECT_EQ(rig.text.pending(), 3u);
  EXPECT_EQ(rig.cache.free_pages(), 8u);
}

TEST(CachedText, AnotherAdapterComputesAllOfItAgain) {
  TextRig rig(false, RopeMode::hf_compat);
  rig.text.append(Ids{1, 2, 3});
  rig.run_all();
  rig.text.set_adapter(abi::kNoAdapter);
  EXPECT_EQ(rig.text.cached(), 3u) << "it had none";
  rig.text.set_adapter(1);
  EXPECT_EQ(rig.text.cached(), 0u);
  rig.run_all();
  rig.text.set_adapter(1);
  EXPECT_EQ(rig.text.cached(), 3u);
}

TEST(CachedText, TruncatingForgetsPendingTokensFirst) {
  TextRig rig(false, RopeMode::hf_compat);
  rig.text.append(Ids{1, 2, 3, 4});
  TextRig::cache_chunk(rig.text.next(2));
  rig.text.truncate(3);
  EXPECT_EQ(rig.text.cached(), 2u);
  EXPECT_EQ(rig.text.pending(), 1u);
  rig.text.truncate(1);
  EXPECT_EQ(rig.text.cached(), 1u);
  EXPECT_EQ(rig.text.pending(), 0u);
}

}  // namespace
}  // namespace ropewalk::test
