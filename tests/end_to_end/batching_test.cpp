// What a sequence computes must not depend on its company nor on how its prompt was cut: on the CPU
// the logits are the same bits.
#include <gtest/gtest.h>

#include "tests/end_to_end/fixture_model.h"

namespace ropewalk::test {
namespace {

using Logits = std::vector<float>;

struct Rig {
  Json expected = expected_of("gptq-b4-airophin");
  std::vector<int32_t> ids = expected["ids"].get<std::vector<int32_t>>();
  FixtureModel model;

  Rig() : model("gptq-b4-airophin", settings()) {}

  static RuntimeSettings settings() {
    RuntimeSettings settings =
        fixture_settings(fixture_config("gptq-b4-airophin", expected_of("gptq-b4-airophin")));
    settings.config.context.length = 600;  // three pages
    settings.max_sequences = 8;
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
      const auto logits = executor().run({&chunk, 1});
      last.assign(logits.begin(), logits.end());
    }
    return last;
  }

  // A longer text, so that pages and pieces do not line up.
  std::vector<int32_t> long_text() const {
    std::vector<int32_t> text;
    while (text.size() < 550) text.insert(text.end(), ids.begin(), ids.end());
    return text;
  }
};

TEST(Batching, APromptMayBeCutAnywhere) {
  Rig rig;
  const std::vector<int32_t> text = rig.long_text();
  const Logits whole = rig.run(text, 512);
  for (const size_t piece : {1u, 7u, 64u, 255u, 256u}) {
    EXPECT_EQ(rig.run(text, piece), whole) << "pieces of " << piece;
  }
}

TEST(Batching, SequencesInOneStepDoNotMix) {
  Rig rig;
  // Eight prompts of different lengths, of which some only decode while others still prefill.
  std::vector<std::vector<int32_t>> prompts;
  for (size_t i = 0; i < 8; ++i) {
    prompts.emplace_back(rig.ids.begin() + static_cast<std::ptrdiff_t>(i), rig.ids.end());
  }
  std::vector<Logits> alone;
  for (const auto& prompt : prompts) alone.push_back(rig.run(prompt, prompt.size()));

  std::vector<std::unique_ptr<Sequence>> sequences;
  for (size_t i = 0; i < prompts.size(); ++i) {
    sequences.push_back(std::make_unique<Sequence>(rig.cache()));
  }
  // All but the last i + 1 tokens first, then the rest in one step.
  std::vector<Chunk> heads, tails;
  for (size_t i = 0; i < prompts.size(); ++i) {
    const std::span<const int32_t> prompt = prompts[i];
    const size_t split = prompt.size() - (i + 1);
    const auto length = static_cast<uint32_t>(prompt.size());
    heads.push_back({sequences[i].get(), prompt.first(split), Wanted::none, length});
    tails.push_back({sequences[i].get(), prompt.subspan(split), Wanted::last, length});
  }
  rig.executor().run(heads);
  const auto logits = rig.executor().run(tails);
  const uint32_t vocab = rig.executor().vocab_size();
  for (size_t i = 0; i < prompts.size(); ++i) {
    const auto row = logits.subspan(i * vocab, vocab);
    EXPECT_EQ(Logits(row.begin(), row.end()), alone[i]) << "sequence " << i;
  }
}

TEST(Batching, AForgottenTailLeavesNoTrace) {
  Rig rig;
  const std::vector<int32_t> text = rig.long_text();
  const Logits want = rig.run(text, 512);

  Sequence sequence(rig.cache());
  const std::vector<int32_t> other(200, 3);
  const auto run = [&](std::span<const int32_t> tokens) {
    const Chunk chunk{&sequence, tokens, Wanted::last, static_cast<uint32_t>(text.size())};
    const auto logits = rig.executor().run({&chunk, 1});
    return Logits(logits.begin(), logits.end());
  };
  run(std::span(text).first(300));
  run(other);
  sequence.truncate(300);
  EXPECT_EQ(run(std::span(text).subspan(300)), want);
}

}  // namespace
}  // namespace ropewalk::test
