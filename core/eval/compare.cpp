#include "core/eval/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/eval/score.h"
#include "core/exec/cached_text.h"

namespace ropewalk {
namespace {

// The log-sum-exp of a row of logits, and the id of the largest.
struct Normaliser {
  explicit Normaliser(std::span<const float> logits) {
    const auto max = std::max_element(logits.begin(), logits.end());
    top = max - logits.begin();
    double sum = 0;
    for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - *max);
    log_sum = *max + std::log(sum);
  }

  std::ptrdiff_t top;
  double log_sum;
};

void check_vocabularies(Runtime& a, Runtime& b) {
  const uint32_t ours = a.executor().vocab_size(), theirs = b.executor().vocab_size();
  if (ours == theirs) return;
  throw Error(ExitCode::usage, "CONFIG_B",
              fmt::format("its model has a vocabulary of {}, CONFIG_A's has {}", theirs, ours),
              "Compare models of one vocabulary");
}

// The logits of the next `count` tokens.
std::span<const float> run_next(Executor& executor, CachedText& text, uint32_t count) {
  Chunk chunk = text.next(count);
  chunk.wanted = Wanted::all;
  return executor.run_one(chunk);
}

}  // namespace

void ComparisonSum::add(std::span<const float> a, std::span<const float> b, int32_t next) {
  const Normaliser in_a(a), in_b(b);
  double kl = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double log_a = a[i] - in_a.log_sum, log_b = b[i] - in_b.log_sum;
    kl += std::exp(log_a) * (log_a - log_b);
    max_difference_ = std::max(max_difference_, std::abs(static_cast<double>(a[i]) - b[i]));
  }
  kl_.push_back(std::max(kl, 0.0));  // rounding can make a zero negative
  same_top_ += in_a.top == in_b.top;
  const auto id = static_cast<size_t>(next);
  a_.add(a[id] - in_a.log_sum);
  b_.add(b[id] - in_b.log_sum);
}

Comparison ComparisonSum::result() const {
  Comparison result;
  result.tokens = kl_.size();
  if (kl_.empty()) return result;
  const auto count = static_cast<double>(kl_.size());
  std::vector<double> sorted = kl_;
  std::sort(sorted.begin(), sorted.end());
  for (const double kl : sorted) result.kl_mean += kl / count;
  // Nearest rank: the smallest value that 99 % of the positions do not exceed.
  result.kl_p99 = sorted[static_cast<size_t>(std::ceil(0.99 * count)) - 1];
  result.kl_max = sorted.back();
  result.same_top = static_cast<double>(same_top_) / count;
  result.a = a_.result();
  result.b = b_.result();
  result.max_difference = max_difference_;
  return result;
}

void compare_windows(Runtime& a, Runtime& b, std::span<const ScoredWindow> windows,
                     ComparisonSum& sum,
                     const std::function<void(uint64_t done, uint64_t total)>& progress) {
  check_vocabularies(a, b);
  const uint32_t vocab = a.executor().vocab_size();
  uint64_t done = 0, total = 0;
  for (const ScoredWindow& window : windows) {
    check_ids(window.ids, vocab);
    total += window.ids.size() - 1;
  }
  const uint32_t rows = std::min({a.executor().max_rows(), a.executor().max_wanted(),
                                  b.executor().max_rows(), b.executor().max_wanted()});
  for (const ScoredWindow& window : windows) {
    CachedText in_a(a.cache(), a.rope_tables()), in_b(b.cache(), b.rope_tables());
    in_a.append(window.ids);
    in_b.append(window.ids);
    while (in_a.pending() > 1) {
      const uint32_t start = in_a.cached(), count = std::min(rows, in_a.pending() - 1);
      const std::span<const float> logits_a = run_next(a.executor(), in_a, count);
      const std::span<const float> logits_b = run_next(b.executor(), in_b, count);
      for (size_t i = 0; i < count; ++i) {
        if (start + i + 1 < window.scored) continue;
        sum.add(logits_a.subspan(i * vocab, vocab), logits_b.subspan(i * vocab, vocab),
                window.ids[start + i + 1]);
      }
      done += count;
      progress(done, total);
    }
  }
}

}  // namespace ropewalk
