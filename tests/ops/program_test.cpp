// Whole programs: rows beyond the step, and what a row's neighbours may do to it.
#include <algorithm>
#include <cstring>

#include "tests/ops/harness/block.h"
#include "tests/ops/op_test.h"

namespace ropewalk::test {
namespace {

class Program : public OpTest {};

// A program computes the same for a step narrower than itself as one of exactly that width, also
// where the wide one has another kernel. The session checks that other rows of its outputs and the
// rest of the cache do not change.
TEST_P(Program, bucket_larger_than_the_step) {
  const Block block(2);
  for (const uint32_t bucket : {32u, 256u})
    with_session(block.description, {5, 5, 2, kBlockPages}, [&](Session& exact) {
      with_session(block.description, {bucket, bucket, 2, kBlockPages}, [&](Session& wide) {
        for (const StepData& step :
             {block.step(0, 0, 5), block.step(1, 0, 3), block.step(0, 5, 1)}) {
          exact.run(step);
          wide.run(step);
          const std::vector<float> truth = exact.get(block.logits);
          expect_close(ToleranceClass::matmul, wide.get(block.logits),
                       std::vector<double>(truth.begin(), truth.end()));
        }
      });
    });
}

TEST_P(Program, same_bits_on_every_run) {
  const Block block(1);
  std::vector<float> first;
  for (int i = 0; i < 20; ++i)
    with_session(block.description, {64, 64, 1, kBlockPages}, [&](Session& session) {
      session.run(block.step(0, 0, 64));
      const std::vector<float> logits = session.get(block.logits);
      if (i == 0) first = logits;
      EXPECT_EQ(std::memcmp(logits.data(), first.data(), first.size() * 4), 0) << "run " << i;
    });
}

RW_ON_EVERY_DEVICE(Program);

// On the CPU, and on other devices with the option batch-invariant, a row's bits depend on its
// sequence alone: not on the chunks the prompt came in, not on other sequences in the step or the
// rows of its program, not on the number of threads.
class Batch : public testing::TestWithParam<std::string> {
 protected:
  using Logits = std::vector<float>;

  static abi::Device& device(int threads) {
    if (!is_cpu(GetParam())) return invariant_device(GetParam());
    return cpu_device(GetParam() == "cpu" ? "auto" : GetParam().substr(4), threads);
  }
  // Three times the keys that are scored together: with two, a wrong order would not show. A GPU's
  // kernels score 64, and an emulated row takes long.
  static uint32_t token_count() { return is_cpu(GetParam()) ? 530 : 200; }

  Logits run(int threads, const std::vector<StepData>& steps, uint32_t sequence) {
    uint32_t widest = 0;
    for (const StepData& step : steps)
      widest = std::max(widest, static_cast<uint32_t>(step.position.size()));
    Session session(block_.description, device(threads), {widest, widest, 2, kBlockPages},
                    Steps::fused);
    Logits collected;
    for (const StepData& step : steps) {
      session.run(step);
      const Logits logits = session.get(block_.logits);
      for (size_t w = 0; w < step.wanted.size(); ++w)
        if (step.sequence[step.wanted[w]] == sequence)
          collected.insert(collected.end(),
                           logits.begin() + static_cast<ptrdiff_t>(w * kBlockVocab),
                           logits.begin() + static_cast<ptrdiff_t>((w + 1) * kBlockVocab));
    }
    return collected;
  }
  // The prompt in chunks, its last tokens one by one as generated ones are.
  std::vector<StepData> chunks(uint32_t size) const {
    const uint32_t in_chunks = token_count() - 5;
    std::vector<StepData> steps;
    uint32_t first = 0;
    for (; first < in_chunks; first += static_cast<uint32_t>(steps.back().position.size()))
      steps.push_back(block_.step(0, first, std::min(size, in_chunks - first)));
    for (; first < token_count(); ++first) steps.push_back(block_.step(0, first, 1));
    return steps;
  }
  static void expect_same_bits(const Logits& a, const Logits& b) {
    ASSERT_EQ(a.size(), b.size());
    EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0);
  }

  const Block block_{2};
};

TEST_P(Batch, chunks_do_not_matter) {
  const Logits whole = run(1, {block_.step(0, 0, token_count())}, 0);
  const auto sizes =
      is_cpu(GetParam()) ? std::vector<uint32_t>{7, 33, 64, 500} : std::vector<uint32_t>{7, 64};
  for (const uint32_t size : sizes) {
    SCOPED_TRACE("chunks of " + std::to_string(size));
    expect_same_bits(run(1, chunks(size), 0), whole);
  }
}

TEST_P(Batch, threads_do_not_matter) {
  if (!is_cpu(GetParam())) GTEST_SKIP() << "its threads are not ours to choose";
  const Logits one = run(1, chunks(97), 0);
  for (const int threads : {2, 3, 7}) {
    SCOPED_TRACE(std::to_string(threads) + " threads");
    expect_same_bits(run(threads, chunks(97), 0), one);
  }
}

TEST_P(Batch, neighbours_do_not_matter) {
  const uint32_t tokens = token_count();
  const std::vector<StepData> alone = {block_.step(0, 0, tokens), block_.step(0, tokens, 1)};
  const std::vector<StepData> together = {
      Block::joined(block_.step(0, 0, tokens), block_.step(1, 0, 33)),
      Block::joined(block_.step(0, tokens, 1), block_.step(1, 33, 5))};
  expect_same_bits(run(2, together, 0), run(2, alone, 0));
}

std::vector<std::string> invariant_devices() {
  std::vector<std::string> names = invariant_device_names();
  for (const std::string& name : device_names())
    if (is_cpu(name) && name != "cpu_single") names.push_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Invariant, Batch, testing::ValuesIn(invariant_devices()), device_of);

}  // namespace
}  // namespace ropewalk::test
