// A sequence's logits must not depend on how its prompt was cut or what it held before: on the CPU
// they have the same bits. Sequences in one step: models_test.cpp.
#include <gtest/gtest.h>

#include "tests/end_to_end/fixture_model.h"

namespace ropewalk::test {
namespace {

using Logits = std::vector<float>;

struct BatchingRig {
  FixtureModel model;

  BatchingRig() : model(kActOrderFixture, settings()) {}

  static RuntimeSettings settings() {
    RuntimeSettings settings =
        fixture_settings(fixture_config(kActOrderFixture, expected_of(kActOrderFixture)));
    settings.config.context.length = 600;  // ten pages
    return settings;
  }
  Executor& executor() { return model.runtime.executor(); }
  KvCache& cache() { return model.runtime.cache(); }

  // The last logits after `tokens`, run in pieces of `piece`.
  Logits run(const std::vector<int32_t>& tokens, size_t piece) {
    Sequence sequence(cache());
    Logits last;
    for (size_t done = 0; done < tokens.size(); done += piece) {
      const size_t count = std::min(piece, tokens.size() - done);
      const Chunk chunk{&sequence, std::span(tokens).subspan(done, count), Wanted::last,
                        static_cast<uint32_t>(tokens.size())};
      const auto logits = executor().run_one(chunk);
      last.assign(logits.begin(), logits.end());
    }
    return last;
  }
};

TEST(Batching, APromptMayBeCutAnywhere) {
  BatchingRig rig;
  const std::vector<int32_t> text = long_text_of(kActOrderFixture);
  const Logits whole = rig.run(text, 512);
  for (const size_t piece : {1u, 7u, 64u, 255u, 256u}) {
    EXPECT_EQ(rig.run(text, piece), whole) << "pieces of " << piece;
  }
}

TEST(Batching, AForgottenTailLeavesNoTrace) {
  BatchingRig rig;
  const std::vector<int32_t> text = long_text_of(kActOrderFixture);
  const Logits want = rig.run(text, 512);

  Sequence sequence(rig.cache());
  const std::vector<int32_t> other(200, 3);
  const auto run = [&](std::span<const int32_t> tokens) {
    const Chunk chunk{&sequence, tokens, Wanted::last, static_cast<uint32_t>(text.size())};
    const auto logits = rig.executor().run_one(chunk);
    return Logits(logits.begin(), logits.end());
  };
  run(std::span(text).first(300));
  run(other);
  sequence.truncate(300);
  EXPECT_EQ(run(std::span(text).subspan(300)), want);
}

}  // namespace
}  // namespace ropewalk::test
