// compare.h — how far two models' predictions are apart on the same text: backend against backend,
// quantised against dense, one cache type against another.
//
// A is the reference. All figures are over positions: the predictions of all tokens of a window but
// the first. Sums are in double. Source: llama.cpp, tools/perplexity (--kl-divergence).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/engine/runtime.h"
#include "core/eval/perplexity.h"

namespace ropewalk {

struct Comparison {
  uint64_t tokens = 0;
  double kl_mean = 0, kl_p99 = 0, kl_max = 0;  // KL(A || B) = sum p_A ln(p_A / p_B), in nats
  double same_top = 0;                         // share of positions where both have the same argmax
  Perplexity a, b;
  double max_difference = 0;  // |logit of A - logit of B|
};

class ComparisonSum {
 public:
  // Logits of one position, and the id that follows. REQUIRES: of equal size.
  void add(std::span<const float> a, std::span<const float> b, int32_t next);
  Comparison result() const;

 private:
  std::vector<double> kl_;
  uint64_t same_top_ = 0;
  PerplexitySum a_, b_;
  double max_difference_ = 0;
};

// Runs every window through both models, step by step: first A, then B. `progress` is called with
// tokens done and may throw to stop; `sum` then holds the positions compared so far. Throws Error:
// usage where the vocabularies differ, limit as score_windows().
void compare_windows(Runtime& a, Runtime& b, std::span<const ScoredWindow> windows,
                     ComparisonSum& sum,
                     const std::function<void(uint64_t done, uint64_t total)>& progress);

}  // namespace ropewalk
